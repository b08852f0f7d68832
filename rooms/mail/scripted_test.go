package mail_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"quietroom/ground/store"
	"quietroom/rooms/mail"
	"quietroom/rooms/mail/smtp"
)

// scripted is a mail server that does what a test wants, and counts.
type scripted struct {
	t    testing.TB
	l    net.Listener
	mu   sync.Mutex
	n    int
	ids  map[string]int // Message-ID -> how often it came whole
	wait sync.WaitGroup
}

func newScripted(t testing.TB, script func(*talk)) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{t: t, l: l, ids: map[string]int{}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.n++
			s.mu.Unlock()
			s.wait.Go(func() {
				defer conn.Close()
				script(&talk{s: s, conn: conn, r: bufio.NewReader(conn)})
			})
		}
	}()
	t.Cleanup(func() { l.Close() })
	return s
}

func (s *scripted) settings() mail.Settings {
	return mail.Settings{Host: "127.0.0.1", Port: s.l.Addr().(*net.TCPAddr).Port, Security: smtp.Plain, Sender: "notices@practice.example"}
}

func (s *scripted) talks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// talk is one conversation, seen from the server.
type talk struct {
	s      *scripted
	conn   net.Conn
	r      *bufio.Reader
	slow   time.Duration // before each answer
	breaks string        // a message for this address breaks the connection
	most   int           // messages on one connection
}

func (c *talk) say(line string) {
	if c.slow > 0 {
		timer := time.NewTimer(c.slow)
		<-timer.C
	}
	fmt.Fprintf(c.conn, "%s\r\n", line)
}

func (c *talk) hear() (string, bool) {
	line, err := c.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err == nil
}

func (c *talk) greet(offers ...string) {
	c.say("220 scripted")
	if _, ok := c.hear(); !ok {
		return
	}
	c.hello(offers)
}

func (c *talk) hello(offers []string) {
	for _, o := range offers {
		c.say("250-" + o)
	}
	c.say("250 8BITMIME")
}

// serve takes what comes, as a server does.
func (c *talk) serve(offers ...string) {
	c.greet(offers...)
	to := ""
	for taken := 0; ; {
		line, ok := c.hear()
		if !ok {
			return
		}
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), ":"); verb {
		case "RCPT TO":
			to = strings.Trim(line[8:], "<>")
			c.say("250 2.1.5 ok")
		case "DATA":
			if c.most > 0 && taken >= c.most {
				c.say("421 4.7.0 enough")
				return
			}
			c.say("354 go on")
			number, ok := c.message()
			if !ok || to == c.breaks {
				return
			}
			taken++
			c.s.mu.Lock()
			c.s.ids[number]++
			c.s.mu.Unlock()
			c.say("250 2.0.0 taken")
		case "QUIT":
			c.say("221 bye")
			return
		default:
			c.say("250 2.0.0 ok")
		}
	}
}

func (c *talk) message() (number string, ok bool) {
	for {
		line, ok := c.hear()
		if !ok {
			return "", false
		}
		if line == "." {
			return number, true
		}
		if value, is := strings.CutPrefix(line, "Message-ID: "); is {
			number = value
		}
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a killed server leaves: the letter it had handed over goes out once more,
// with the same Message-ID, and nothing is lost.
func TestAServerKilledBetweenSendingAndWritingDownLosesNothing(t *testing.T) {
	if dir := os.Getenv("QUIETROOM_KILLED"); dir != "" {
		killed(t, dir)
		return
	}
	p := newPostfix(t)
	dir := t.TempDir()
	db, err := store.Open(t.Context(), filepath.Join(dir, "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	h := newHouseIn(t, db, func(*mail.Config) {})
	h.sends(p, "plain", smtp.Plain)
	for range 3 {
		h.told(h.jo)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestAServerKilledBetweenSendingAndWritingDownLosesNothing$")
	child.Env = append(os.Environ(), "QUIETROOM_KILLED="+dir)
	out, err := child.CombinedOutput()
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		t.Fatalf("the child was not killed: %v\n%s", err, out)
	}
	p.mail(1)

	if db, err = store.Open(t.Context(), filepath.Join(dir, "house.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	h = newHouseIn(t, db, func(*mail.Config) {})
	h.deliver()
	h.now = h.now.Add(16 * time.Minute) // what the dead one had claimed is free again
	h.deliver()
	if got := h.states(); got["sent"] != 6 || len(got) != 1 {
		t.Errorf("the queue holds %v, want 6 sent", got)
	}
	times := map[string]int{}
	for _, m := range p.mail(7) {
		times[m.Header.Get("Message-ID")]++
	}
	twice := 0
	for _, n := range times {
		if n > 1 {
			twice++
		}
	}
	if len(times) != 6 || twice != 1 {
		t.Errorf("%d different messages arrived, %d of them twice; want 6, and the one in hand twice", len(times), twice)
	}
}

// killed hands one letter over and dies before it is written down.
func killed(t *testing.T, dir string) {
	db, err := store.Open(t.Context(), filepath.Join(dir, "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	h := newHouseIn(t, db, func(*mail.Config) {})
	h.Between(func(string, error) { syscall.Kill(os.Getpid(), syscall.SIGKILL) })
	h.deliver()
	t.Fatal("still alive")
}
