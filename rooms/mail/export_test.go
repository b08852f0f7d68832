package mail

import (
	"context"
	"time"
)

// Deliver runs the job that hands letters over.
func (m *Mail) Deliver(ctx context.Context) error { return m.deliver(ctx) }

// Greet runs the job that says hello to the server.
func (m *Mail) Greet(ctx context.Context) error { return m.greet(ctx) }

// Impatient has the room give up on an answer after d.
func (m *Mail) Impatient(d time.Duration) { m.patience = d }

// Between is called between handing over a letter and writing it down.
func (m *Mail) Between(f func(letter string, err error)) { m.between = f }

// Woken tells whether the queue was to be looked at, and forgets it.
func (m *Mail) Woken() bool {
	select {
	case <-m.woken:
		return true
	default:
		return false
	}
}

// Compose writes a message as it travels.
func Compose(to, subject, text, link, number, sender, origin string, queued time.Time) ([]byte, error) {
	return compose(letter{To: to, Subject: subject, Text: text, Link: link}, number, sender, origin, queued)
}

// Settings for Accept.
type Settings = settings

// Accept sets a server without a test message.
func (m *Mail) Accept(ctx context.Context, s Settings) error {
	s.Number = "123456"
	if err := m.propose(ctx, s); err != nil {
		return err
	}
	return m.accept(ctx, "123456")
}
