package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// maxBatch bounds how many callers one commit may join.
const maxBatch = 256

// writer owns the one writing connection and its prepared statements.
type writer struct {
	db    *DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	sent  []sent // see Tx.Send
	saved bool   // each caller of this batch has a savepoint
}

func (w *writer) run() {
	defer close(w.db.ended)
	defer w.drop()
	for {
		select {
		case <-w.db.stop:
			return
		case do := <-w.db.errands:
			do(w)
		case u := <-w.db.queue:
			w.commit(w.join(u))
		}
	}
}

// join takes whoever waits already: the longer a commit takes, the more callers the next one carries.
func (w *writer) join(first *update) []*update {
	batch := []*update{first}
	for len(batch) < maxBatch {
		select {
		case u := <-w.db.queue:
			batch = append(batch, u)
		default:
			return batch
		}
	}
	return batch
}

// Why a transaction as a whole did not commit.
var (
	errOne   = errors.New("one of the joined callers failed")
	errGone  = errors.New("store: the connection to the database broke, nothing was written")
	maxTries = 10 // of a batch that another server's updates get in the way of
)

// commit brings each caller of a batch to its end.
func (w *writer) commit(batch []*update) {
	err := w.try(batch)
	if err != nil && len(batch) > 1 && !errors.Is(err, ErrUnknown) {
		for _, u := range batch { // nobody fails for another
			w.commit([]*update{u})
		}
		return
	}
	for _, u := range batch {
		if u.err == nil {
			u.err = storeError(err)
		}
		close(u.done)
	}
}

// try runs a batch without savepoints first, since callers seldom fail. It
// starts again where that, or another server, or a broken connection calls for it.
func (w *writer) try(batch []*update) (err error) {
	savepoints := false
	for i := range maxTries {
		err = w.transact(batch, savepoints)
		switch {
		case errors.Is(err, errOne) && len(batch) == 1:
			return nil // undone, and the caller's error stands in its update
		case errors.Is(err, errOne):
			savepoints = true
		case errors.Is(err, errGone):
			if i > 1 {
				return err
			}
		case conflict(err):
			time.Sleep(upTo(time.Millisecond << i)) // two servers must not meet again at once
		default:
			return err
		}
	}
	return err
}

// transact returns an error if the batch as a whole did not commit; a single
// caller's error stands in its update.
func (w *writer) transact(batch []*update, savepoints bool) error {
	if err := w.begin(); err != nil {
		return err
	}
	w.saved = savepoints
	for _, u := range batch {
		run := w.runBare
		if savepoints {
			run = w.runSaved
		}
		if err := run(u); err != nil {
			w.undo()
			return err
		}
	}
	return w.end()
}

func (w *writer) begin() error {
	text := "BEGIN"
	if w.db.kind == SQLite {
		text = "BEGIN IMMEDIATE" // it waits for a writer outside of this program here, where nothing has to be run again
	}
	if w.conn != nil && w.exec(text) == nil {
		return nil
	}
	if err := w.connect(context.Background()); err != nil {
		return err
	}
	return w.exec(text)
}

// end commits. Only a connection that breaks here leaves the outcome unknown.
func (w *writer) end() error {
	err := w.flush("COMMIT")
	if err == nil {
		return nil
	}
	gone, _ := w.state()
	w.undo()
	switch {
	case gone && !errors.Is(err, driver.ErrBadConn): // ErrBadConn: it was never sent
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	case gone:
		return errGone
	}
	return fmt.Errorf("commit: %w", err)
}

// undo leaves no transaction behind, or else no connection.
func (w *writer) undo() {
	w.sent = nil
	// SQLite refuses where a full disk has ended the transaction already; the next BEGIN tells.
	if w.exec("ROLLBACK") != nil && w.db.kind == Postgres {
		w.drop()
	}
}

// runBare runs a caller that is expected to succeed.
func (w *writer) runBare(u *update) error {
	if err := w.runFn(u); err != nil {
		return err
	}
	if u.err != nil && u.tx.dirty() {
		return errOne
	}
	return nil
}

// runSaved runs a caller whose work can be undone alone.
func (w *writer) runSaved(u *update) error {
	if err := w.exec("SAVEPOINT one"); err != nil {
		return err
	}
	if err := w.runFn(u); err != nil {
		return err
	}
	if u.err != nil {
		w.sent = nil
		// A full disk may have ended the whole transaction; then this fails, and the batch with it.
		if err := w.exec("ROLLBACK TO SAVEPOINT one"); err != nil {
			return errors.Join(u.err, err)
		}
	}
	return w.exec("RELEASE SAVEPOINT one")
}

// runFn returns an error only where no caller of the batch can go on.
func (w *writer) runFn(u *update) error {
	u.run(w)
	gone, broken := w.state()
	switch {
	case gone:
		return errGone
	case conflict(u.tx.failed):
		return u.tx.failed
	case broken && u.err == nil:
		u.err = errors.New("update: a statement failed, and its error was overlooked")
	}
	return nil
}

func (w *writer) connect(ctx context.Context) (err error) {
	w.drop()
	if w.conn, err = w.db.write.Conn(ctx); err != nil {
		return fmt.Errorf("open the writing connection: %w", storeError(err))
	}
	return w.insist(ctx)
}

// drop closes the connection for good: one with an open transaction must not come back from the pool.
func (w *writer) drop() {
	if w.conn != nil {
		w.conn.Raw(func(any) error { return driver.ErrBadConn })
		w.conn.Close()
	}
	w.conn, w.stmts, w.sent = nil, map[string]*sql.Stmt{}, nil
}

func (w *writer) prepared(query string) (*sql.Stmt, error) {
	if st, ok := w.stmts[query]; ok {
		return st, nil
	}
	if w.conn == nil {
		return nil, errGone
	}
	if len(w.stmts) >= maxStatements {
		w.forget()
	}
	st, err := w.conn.PrepareContext(context.Background(), query)
	if err == nil {
		w.stmts[query] = st
	}
	return st, err
}

func (w *writer) forget() {
	for _, st := range w.stmts {
		st.Close()
	}
	clear(w.stmts)
}

func (w *writer) exec(text string) error {
	st, err := w.prepared(text)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(context.Background())
	return err
}

// upTo is a random time between none and most.
func upTo(most time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(most)))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return time.Duration(n.Int64())
}
