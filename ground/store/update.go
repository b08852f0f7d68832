package store

import (
	"context"
	"fmt"
	"runtime/debug"
)

type update struct {
	ctx  context.Context
	fn   func(*Tx) error
	tx   *Tx
	err  error
	done chan struct{}
}

// Update runs fn and returns after its work is durable. Updates behave as if
// they ran one after another, also over several servers on one PostgreSQL, so
// that what fn reads still holds when it writes. Callers that come at the same
// time are joined into one commit; one caller's error or panic undoes only that
// caller's work. fn is quick, waits for nobody, calls no Update, and may run
// more than once: it changes nothing but the database, or sets what it changes
// outside anew each time.
//
// A context that ends before fn runs gives its error; after that the outcome is
// awaited. ErrFull, ErrClosed: nothing was written. ErrUnknown: see there.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	u := &update{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case db.queue <- u:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.stop:
		return ErrClosed
	}
	select {
	case <-u.done: // not ctx.Done: the outcome has to be known
		return u.settle()
	case <-db.ended:
		select {
		case <-u.done:
			return u.settle()
		default:
			return ErrClosed
		}
	}
}

// settle runs OnCommit in the caller's own goroutine, where a panic is its own.
func (u *update) settle() error {
	if u.err != nil {
		return u.err
	}
	for _, f := range u.tx.onCommit {
		f()
	}
	return nil
}

// run calls fn, and turns a panic or an overlooked failure into its error.
func (u *update) run(w *writer) {
	u.tx = &Tx{w: w}
	if u.err = u.ctx.Err(); u.err != nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			u.err = fmt.Errorf("update panicked: %v\n%s", p, debug.Stack())
		}
		if failed := u.tx.end(); u.err == nil {
			u.err = failed
		}
		if u.err == nil {
			u.err = u.tx.settle()
		}
	}()
	u.err = u.fn(u.tx)
}

// errand runs do on the writer's connection between two commits.
func (db *DB) errand(ctx context.Context, do func(*writer) error) error {
	done := make(chan error, 1)
	select {
	case db.errands <- func(w *writer) { done <- do(w) }:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	case <-db.stop:
		return ErrClosed
	}
}
