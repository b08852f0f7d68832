package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// progress draws a bar in a terminal, and prints nothing elsewhere.
type progress struct {
	w     io.Writer
	what  string
	on    bool
	mu    sync.Mutex
	began time.Time
	last  time.Time
	drawn bool
}

func (c *call) progress(what string) *progress {
	return &progress{w: c.err, what: what, on: c.terminal, began: time.Now()}
}

// step tells how far it is; any goroutine may call it.
func (p *progress) step(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); !p.on || total <= 0 || now.Sub(p.last) < 100*time.Millisecond && done < total {
		return
	} else {
		p.last = now
	}
	const width = 28
	full := min(width, done*width/total)
	left := ""
	if took := time.Since(p.began); done > 0 && done < total && took > 2*time.Second {
		left = fmt.Sprintf(", %d s left", int(took.Seconds()*float64(total-done)/float64(done))+1)
	}
	fmt.Fprintf(p.w, "\r\x1b[K%-24s %s%s %s of %s%s", p.what, strings.Repeat("█", full), strings.Repeat("░", width-full), grouped(done), grouped(total), left)
	p.drawn = true
}

// end wipes the bar.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

// grouped writes 33000 as 33,000.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
