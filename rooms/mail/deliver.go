package mail

import (
	"context"
	"errors"
	"sync"
	"time"

	"quietroom/ground/seal"
	"quietroom/rooms/mail/smtp"
)

const (
	most  = 4                // connections at a time
	each  = 8                // letters for which one more connection is worth while
	spell = 45 * time.Second // how long one run lasts: then others have their turn
)

// deliver hands over what is due. It ends when nothing is, or when the server
// does not let us in; then the server is left alone for a while.
func (m *Mail) deliver(ctx context.Context) error {
	if err := m.pay(ctx); err != nil {
		return err
	}
	if err := m.drop(ctx); err != nil {
		return err
	}
	s, err := m.server(ctx)
	if errors.Is(err, errNoServer) || errors.Is(err, seal.ErrSealed) {
		return nil // evidence says so
	}
	if err != nil || m.Now().Before(s.Retry) {
		return err
	}
	for began := m.Now(); ; {
		due, err := m.claim(ctx, s.Pace)
		if err != nil || len(due) == 0 {
			return err
		}
		if failed, err := m.carry(ctx, s, due); failed || err != nil {
			return err
		}
		if m.Now().Sub(began) > spell {
			m.wake()
			return nil
		}
	}
}

// pay writes down what was handed over while the database refused. Without that
// the same letters would go out again and again.
func (m *Mail) pay(ctx context.Context) error {
	m.mu.Lock()
	owed := m.owed
	m.owed = nil
	m.mu.Unlock()
	err := m.write(ctx, owed)
	if err != nil {
		m.owe(owed)
	}
	return err
}

func (m *Mail) owe(all []outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owed = append(m.owed, all...)
}

// carry hands claimed letters over on a few connections, and writes down what
// became of them. It tells whether the server failed; the rest waits then.
func (m *Mail) carry(ctx context.Context, s standing, due []waiting) (failed bool, err error) {
	todo := make(chan waiting, len(due))
	for _, w := range due {
		todo <- w
	}
	close(todo)
	done := make(chan outcome, 64)
	trip := &trip{Mail: m, standing: s, todo: todo, done: done}
	var carriers, writer sync.WaitGroup
	writer.Go(func() { err = m.book(ctx, done, trip.halt) })
	for range min(most, 1+len(due)/each) {
		carriers.Go(func() { trip.carry(ctx) })
	}
	carriers.Wait()
	var later time.Time
	stopped, letIn := trip.stopped()
	switch {
	case stopped == nil && letIn:
		err = errors.Join(err, m.letIn(ctx, trip.secured))
	case stopped != nil && ctx.Err() == nil:
		var kept error
		later, kept = m.keptOut(ctx, stopped)
		err = errors.Join(err, kept)
	}
	if later.IsZero() {
		later = m.Now() // whoever comes next tries them
	}
	for w := range todo {
		done <- outcome{waiting: w, state: "waiting", next: later, again: true}
	}
	close(done)
	writer.Wait()
	return stopped != nil || ctx.Err() != nil, err
}

// book writes outcomes down, as many at a time as have come.
func (m *Mail) book(ctx context.Context, done <-chan outcome, halt func(*smtp.Error)) error {
	var broken error
	for first := range done {
		all := []outcome{first}
		for more := true; more && len(all) < 64; {
			select {
			case o, ok := <-done:
				if more = ok; ok {
					all = append(all, o)
				}
			default:
				more = false
			}
		}
		if broken == nil {
			broken = m.write(context.WithoutCancel(ctx), all)
		}
		if broken != nil { // hand over nothing more that could not be written down
			m.owe(all)
			halt(nil)
		}
	}
	return broken
}

// trip is one round of several carriers.
type trip struct {
	*Mail
	standing
	todo <-chan waiting
	done chan<- outcome

	mu      sync.Mutex
	over    bool
	failed  *smtp.Error
	letIn   bool
	secured string
}

// halt has all carriers stop after what they have in hand.
func (t *trip) halt(e *smtp.Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.failed == nil {
		t.failed = e
	}
}

func (t *trip) stopped() (failed *smtp.Error, letIn bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed, t.letIn
}

func (t *trip) ended() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}

func (t *trip) open(ctx context.Context) (*smtp.Conn, error) {
	conn, err := t.settings.server(t.Mail).Open(ctx)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.letIn, t.secured = true, conn.Encrypted()
	return conn, nil
}

// carry takes letters one after another over a connection of its own.
func (t *trip) carry(ctx context.Context) {
	var conn *smtp.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for !t.ended() && ctx.Err() == nil {
		w, ok := <-t.todo
		if !ok {
			return
		}
		l, message, o := t.ready(ctx, w)
		if o != nil {
			t.done <- *o
			continue
		}
		var err error
		used := conn != nil
		for try := 0; try < 2; try++ {
			if conn == nil {
				if conn, err = t.open(ctx); err != nil {
					break
				}
			}
			if err = conn.Send(ctx, t.Sender, l.To, message); err == nil || mine(err) {
				break
			}
			conn.Close()
			conn = nil
			if !used { // the first letter of a connection broke it
				break
			}
			used = false // some servers take so many on one connection, and no more
		}
		t.between(w.number, err)
		t.done <- t.became(w, err)
	}
}

// ready opens a letter. An outcome instead means that there is nothing to carry.
func (t *trip) ready(ctx context.Context, w waiting) (l letter, message []byte, o *outcome) {
	later := &outcome{waiting: w, state: "waiting", next: t.Now().Add(time.Hour)}
	if t.Mail.open("notice", w.number, w.box, &l) != nil {
		return l, nil, later // sealed under another server's outbox key: evidence counts it
	}
	if l.To == "" {
		if to, err := t.addresses(ctx, w.person); err == nil && len(to) > 0 {
			return l, nil, &outcome{waiting: w, to: to, l: l}
		}
		return l, nil, later
	}
	message, err := compose(l, w.number, t.Sender, t.Origin, w.queued)
	if err != nil {
		return l, nil, &outcome{waiting: w, state: "refused"}
	}
	return l, message, nil
}

// became says what an attempt means for the letter, and stops the trip where it
// means something for the server.
func (t *trip) became(w waiting, err error) outcome {
	o := outcome{waiting: w, state: "sent"}
	if err == nil {
		return o
	}
	o.state, o.next = "waiting", t.Now().Add(after(forLetters, w.tries, w.number))
	e, ok := errors.AsType[*smtp.Error](err)
	if !ok {
		e = &smtp.Error{Why: smtp.Lost, Err: err}
	}
	o.code = numbers(e)
	switch {
	case e.Mine() && e.Permanent():
		o.state = "refused"
	case e.Mine():
	default:
		t.halt(e)
		// What broke the connection waits longer than the others, so that one
		// letter cannot hold them all up; what never got there waits as they do.
		o.again = e.Why != smtp.Lost
		if o.again {
			o.next = t.Now().Add(after(forServers, t.Tries+1, ""))
		}
	}
	return o
}

func mine(err error) bool {
	e, ok := errors.AsType[*smtp.Error](err)
	return ok && e.Mine()
}

// greet says hello to the server now and then, so that what is known of it is
// fresh on the day it is needed.
func (m *Mail) greet(ctx context.Context) error {
	s, err := m.server(ctx)
	if err != nil || m.Now().Before(s.Retry) {
		if errors.Is(err, errNoServer) || errors.Is(err, seal.ErrSealed) {
			return nil
		}
		return err
	}
	conn, err := s.settings.server(m).Open(ctx)
	if err == nil {
		err = conn.Alive(ctx)
		secured := conn.Encrypted()
		conn.Close()
		if err == nil {
			return m.letIn(ctx, secured)
		}
	}
	if e, ok := errors.AsType[*smtp.Error](err); ok && ctx.Err() == nil {
		_, err = m.keptOut(ctx, e)
		return err
	}
	return err
}
