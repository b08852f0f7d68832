// Package agent runs on each computer of the practice. It looks at how the
// computer is kept (encrypted, locked, updated...), tells the house what it
// found, signed by the computer's own key, and watches the house in turn: it is
// a witness of the ledger, and says on its own screen when that goes backwards,
// when another server answers, and when no backup was opened for too long.
//
// It protects against a lost or neglected computer being the place where sealed
// records become readable, and against a house that is quietly put back to
// yesterday. It reads no person's file, sees no screen and changes nothing by
// itself; there is no order that wipes or locks the computer. Everything that it
// asks of the system stands in its checks, and the page on the computer shows
// each of them with its answer (see screen.go; a test holds that).
//
// A check is a collector (a command, a file, a call) and a parser that is a pure
// function, see package posture. Other rooms' work on the computer hangs on it as
// Checks and Tasks, see Config.
package agent

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/rooms/devices/wire"
)

// Finding is what a check found.
type Finding struct {
	Result wire.Result
	Said   string // one sentence for the person at the computer; with Unknown, the reason
}

// Check is one thing that the agent looks at.
type Check struct {
	Name  string                            // a word of wire.Known, or a new one: the house starts it at watch
	Title string                            // for a new one: what holds when it passes
	Asks  string                            // for a new one: what is asked of the computer, in words for its person
	Every time.Duration                     // how often it is looked at
	Files []string                          // whose change has it looked at again at once
	Slow  bool                              // may take a minute: looked at in the background, the last result counts meanwhile
	Look  func(ctx context.Context) Finding // must heed ctx; what comes after it ended is Unknown
}

// Task is work that goes on while the agent runs: a scanner, decoys. It ends with
// ctx. What it has to tell goes through the desk.
type Task struct {
	Kind string // orders of the house that begin with Kind and a dot are its own
	Run  func(ctx context.Context, d *Desk) error
}

// Config is what an agent is made of. Checks and Tasks are all it ever does.
type Config struct {
	Dir    string // its own folder
	Checks []Check
	Tasks  []Task
	System wire.System
	Admin  bool   // it runs with an administrator's rights
	Agent  string // its version
	Client *http.Client
	Now    func() time.Time
	Log    *slog.Logger
	// Alarm tells the person at the computer; it is asked once for each thing.
	Alarm func(ctx context.Context, title, text string)
	// Keys opens the device's key where it does not lie in a file; see KeyFile.
	Keys KeyStore
	Tick time.Duration // how often it wakes; 5 seconds if zero
}

// Agent is one computer's. See New.
type Agent struct {
	Config
	state *state
	key   Key

	mu      sync.Mutex
	results map[string]result
	running map[string]bool // slow checks under way
	orders  map[string]chan wire.Order
	wake    chan struct{}
	due     time.Time // of the next report
	look    bool      // somebody waits: look at everything
	reached time.Time // when the house answered last
	trouble string    // why it does not, in words
	said    wire.Answer
	port    int

	talking sync.Mutex // one report at a time
}

// New opens the agent in its folder; ErrNotEnrolled if it is not one yet.
func New(c Config) (*Agent, error) {
	c.fill()
	s, err := readState(c.Dir)
	if err != nil {
		return nil, err
	}
	key, err := c.Keys.Open(c.Dir)
	if err != nil {
		return nil, err
	}
	a := &Agent{Config: c, state: s, key: key, results: map[string]result{}, running: map[string]bool{}, orders: map[string]chan wire.Order{}, wake: make(chan struct{}, 1)}
	for _, t := range c.Tasks {
		a.orders[t.Kind] = make(chan wire.Order, 16)
	}
	return a, nil
}

func (c *Config) fill() {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 15 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if c.Tick == 0 {
		c.Tick = 5 * time.Second
	}
	if c.Alarm == nil {
		c.Alarm = func(context.Context, string, string) {}
	}
	if c.Keys == nil {
		c.Keys = KeyFile{}
	}
	if c.System.OS == "" {
		c.System = wire.System{OS: runtime.GOOS, Arch: runtime.GOARCH}
	}
}

// Device is what the house calls this computer.
func (a *Agent) Device() string { return a.state.Device }

// Run looks, tells and listens until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, t := range a.Tasks {
		wg.Go(func() {
			d := &Desk{a: a, Orders: a.orders[t.Kind]}
			for ctx.Err() == nil {
				if err := t.Run(ctx, d); err != nil && ctx.Err() == nil {
					a.Log.ErrorContext(ctx, "a task ended", "task", t.Kind, "err", err)
				}
				sleep(ctx, time.Minute)
			}
		})
	}
	for ctx.Err() == nil {
		a.Turn(ctx)
		select {
		case <-ctx.Done():
		case <-a.wake:
		case <-time.After(a.Tick):
		}
	}
	return nil
}

// Turn is one round: look at what is due, and tell the house if it is time, if
// something changed, or if somebody waits.
func (a *Agent) Turn(ctx context.Context) {
	a.mu.Lock()
	all := a.look
	a.look = false
	a.mu.Unlock()
	changed := a.Look(ctx, all)
	a.mu.Lock()
	now := a.Now()
	due := all || changed && a.trouble == "" || !now.Before(a.due) || a.due.Sub(now) > time.Hour // or the clock was put back
	a.mu.Unlock()
	if !due {
		return
	}
	if _, err := a.Report(ctx, false); err != nil && ctx.Err() == nil {
		a.Log.WarnContext(ctx, "the house was not told", "err", err)
	}
}

// Wake has the agent look at everything and tell the house now.
func (a *Agent) Wake() {
	a.mu.Lock()
	a.look = true
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Desk is what a task may do: tell an event, set a check's result, take orders.
type Desk struct {
	a      *Agent
	Orders <-chan wire.Order
}

// Dir is the agent's own folder; a task keeps its things under its own name in it.
func (d *Desk) Dir() string { return d.a.Dir }

// Tell keeps an event until the house took it, and tells it at once. body becomes
// at most 4 KB of JSON, and is not about a patient.
func (d *Desk) Tell(kind string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	e := kept{Event: wire.Event{ID: string(id.New[id.Record]()), Kind: kind, Body: b}, At: d.a.Now()}
	if err := d.a.state.keepEvent(e); err != nil {
		return err
	}
	d.a.Wake()
	return nil
}

// Set puts in what a task found by itself, as if a check of that name had looked.
func (d *Desk) Set(name string, f Finding) {
	if d.a.set(name, f, d.a.Now()) {
		d.a.Wake()
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
