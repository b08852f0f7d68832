package chrome

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chromedp/chromedp"
)

// watch looks at a browser's memory and ends the browser that takes too much:
// a page may take all it gets.
type watch struct {
	peak  atomic.Uint64
	over  atomic.Bool
	stops sync.Once
	done  chan struct{}
}

func guardMemory(tab context.Context, most uint64) *watch {
	w := &watch{done: make(chan struct{})}
	c := chromedp.FromContext(tab)
	if c == nil || c.Browser == nil || c.Browser.Process() == nil {
		return w
	}
	process := c.Browser.Process()
	go func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		ticks := 0
		for {
			select {
			case <-w.done:
				return
			case <-tab.Done():
				return
			case <-tick.C:
			}
			now := memoryOf(process.Pid, most, ticks%8 == 0)
			ticks++
			if now > w.peak.Load() {
				w.peak.Store(now)
			}
			if now > most {
				w.over.Store(true)
				_ = process.Kill()
				return
			}
		}
	}()
	return w
}

func (w *watch) stop() { w.stops.Do(func() { close(w.done) }) }

func (w *watch) highest() uint64 {
	if w == nil {
		return 0
	}
	return w.peak.Load()
}
