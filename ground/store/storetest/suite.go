package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"quietroom/ground/store"
)

// notes is the table that the suite writes to.
var notes = fstest.MapFS{"schema/0001_notes.sql": {Data: []byte(
	`CREATE TABLE notes (id BIGINT PRIMARY KEY, pair BIGINT NOT NULL, box BYTEA NOT NULL);`)}}

var errMind = errors.New("the caller changed its mind")

// TestStore checks the promises of store.DB on one database.
func TestStore(t *testing.T, open func() *store.DB) {
	db := open()
	if err := db.Migrate(t.Context(), "notes", notes); err != nil {
		t.Fatal(err)
	}
	s := &suite{db: db, open: open}
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"an acknowledged update is there after reopening", s.reopens},
		{"an error undoes only that caller's work", s.errorUndoesOne},
		{"a panic undoes only that caller's work, and nothing ends", s.panics},
		{"an overlooked failure of a statement fails the update", s.overlooked},
		{"nothing follows a failed statement", s.nothingFollows},
		{"what is sent is there for the next statement, and for whoever comes after", s.sent},
		{"what fails when it is sent fails its caller only", s.sentUndoesOne},
		{"rows left open harm nobody", s.rowsLeftOpen},
		{"OnCommit runs after the commit, and only then", s.onCommit},
		{"a context that ended before gives its error and writes nothing", s.cancelledBefore},
		{"a context that ends while fn runs does not hide the outcome", s.cancelledWhile},
		{"readers never see half an update", s.wholeForReaders},
		{"an update sees its own writes, and readers do not yet", s.ownWrites},
		{"updates run as if one after another, over two servers", s.serial},
		{"readers cannot write", s.readersCannotWrite},
		{"many different queries do not pile up", s.manyQueries},
		{"one holder has a lease until it runs out", s.lease},
		{"of two servers one gets the lease", s.leaseRace},
		{"callers that wait at closing are told", s.closing},
	} {
		t.Run(c.name, c.test)
	}
}

type suite struct {
	db   *store.DB
	open func() *store.DB
	next atomic.Int64
}

func insert(ctx context.Context, tx *store.Tx, id int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO notes (id, pair, box) VALUES ($1, $2, $3)`, id, id, []byte("sealed"))
	return err
}

func (s *suite) id() int64 { return s.next.Add(1) }

func (s *suite) add(t *testing.T, id int64) {
	t.Helper()
	if err := s.db.Update(t.Context(), func(tx *store.Tx) error { return insert(t.Context(), tx, id) }); err != nil {
		t.Fatalf("add note %d: %v", id, err)
	}
}

func (s *suite) want(t *testing.T, db *store.DB, id int64, want int) {
	t.Helper()
	var got int
	if err := db.QueryRowContext(context.Background(), `SELECT count(*) FROM notes WHERE id = $1`, id).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("note %d is there %d times, want %d", id, got, want)
	}
}

func (s *suite) reopens(t *testing.T) {
	id := s.id()
	s.add(t, id)
	s.want(t, s.open(), id, 1)
}

// together runs n callers at once, so that they are joined into few commits.
func together(n int, caller func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { caller(i) })
	}
	wg.Wait()
}

func (s *suite) errorUndoesOne(t *testing.T) {
	first := s.next.Add(300) - 299
	together(300, func(i int) {
		err := s.db.Update(t.Context(), func(tx *store.Tx) error {
			if err := insert(t.Context(), tx, first+int64(i)); err != nil {
				return err
			}
			switch i % 3 {
			case 1:
				return errMind
			case 2:
				return insert(t.Context(), tx, first) // is there already, or will be
			}
			return nil
		})
		switch {
		case i%3 == 0 && err != nil && i != 0:
			t.Errorf("caller %d failed for another: %v", i, err)
		case i%3 == 1 && !errors.Is(err, errMind):
			t.Errorf("caller %d got %v, want its own error", i, err)
		}
	})
	var got int
	if err := s.db.QueryRowContext(t.Context(), `SELECT count(*) FROM notes WHERE id > $1 AND id < $2`, first, first+300).Scan(&got); err != nil {
		t.Fatal(err)
	}
	// 99 of the first kind besides first itself; of the third kind at most one came before it.
	if got != 99 && got != 100 {
		t.Fatalf("got %d notes, want those of the callers that succeeded: 99 or 100", got)
	}
}

func (s *suite) panics(t *testing.T) {
	lost, kept := s.id(), s.next.Add(20)-19
	together(20, func(i int) {
		err := s.db.Update(t.Context(), func(tx *store.Tx) error {
			if i == 7 {
				insert(t.Context(), tx, lost)
				panic("a mistake in a room")
			}
			return insert(t.Context(), tx, kept+int64(i))
		})
		if (i == 7) != (err != nil) {
			t.Errorf("caller %d: %v", i, err)
		}
	})
	s.want(t, s.db, lost, 0)
	s.want(t, s.db, kept, 1)
}

func (s *suite) overlooked(t *testing.T) {
	twice, other := s.id(), s.next.Add(10)-9
	s.add(t, twice)
	together(10, func(i int) {
		err := s.db.Update(t.Context(), func(tx *store.Tx) error {
			if i == 3 {
				insert(t.Context(), tx, twice) // fails, and nobody looks
				return nil
			}
			return insert(t.Context(), tx, other+int64(i))
		})
		if (i == 3) != (err != nil) {
			t.Errorf("caller %d: %v", i, err)
		}
	})
	s.want(t, s.db, other, 1)
}

func (s *suite) nothingFollows(t *testing.T) {
	twice, after := s.id(), s.id()
	s.add(t, twice)
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		insert(t.Context(), tx, twice)
		if err := insert(t.Context(), tx, after); err == nil {
			t.Error("a statement ran after a failed one")
		}
		var one int
		if err := tx.QueryRowContext(t.Context(), `SELECT 1`).Scan(&one); err == nil {
			t.Error("a query ran after a failed statement")
		}
		return nil
	})
	if err == nil {
		t.Error("the update was acknowledged")
	}
	s.want(t, s.db, after, 0)
}

func send(ctx context.Context, tx *store.Tx, id int64) error {
	return tx.Send(ctx, `INSERT INTO notes (id, pair, box) VALUES ($1, $2, $3)`, id, id, []byte("sealed"))
}

func (s *suite) sent(t *testing.T) {
	const many = 2500
	first := s.next.Add(many) - many + 1
	count := func(q interface {
		QueryRowContext(context.Context, string, ...any) store.Row
	}) (n int) {
		if err := q.QueryRowContext(t.Context(), `SELECT count(*) FROM notes WHERE id >= $1 AND id < $2 AND pair <> 0`, first, first+many).Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		for i := range int64(many) {
			if err := send(t.Context(), tx, first+i); err != nil {
				return err
			}
		}
		if n := count(tx); n != many {
			t.Errorf("a query sees %d of %d", n, many)
		}
		return tx.Send(t.Context(), `UPDATE notes SET pair = 0 WHERE id = $1`, first)
	}); err != nil {
		t.Fatal(err)
	}
	if n := count(s.db); n != many-1 {
		t.Errorf("after the commit there are %d, want %d", n, many-1)
	}
	id, reads := s.id(), 0
	together(60, func(i int) { // whoever comes after in the same commit sees it too
		if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
			reads = 0
			if err := tx.QueryRowContext(t.Context(), `SELECT count(*) FROM notes WHERE pair = $1`, -id).Scan(&reads); err != nil {
				return err
			}
			return tx.Send(t.Context(), `INSERT INTO notes (id, pair, box) VALUES ($1, $2, $3)`, -id*1000-int64(reads), -id, []byte("x"))
		}); err != nil {
			t.Error(err)
		}
	})
	if reads != 59 {
		t.Errorf("the last of 60 saw %d before it", reads)
	}
}

func (s *suite) sentUndoesOne(t *testing.T) {
	first := s.next.Add(300) - 299
	s.add(t, first)
	together(300, func(i int) {
		err := s.db.Update(t.Context(), func(tx *store.Tx) error {
			if err := send(t.Context(), tx, first+int64(i)+1000); err != nil {
				return err
			}
			switch i % 5 {
			case 1:
				return errMind
			case 2:
				return send(t.Context(), tx, first) // is there already
			case 3:
				send(t.Context(), tx, first) // and nobody looks
			case 4:
				if i == 104 {
					panic("a mistake in a room")
				}
			}
			return nil
		})
		if lost := i%5 == 1 || i%5 == 2 || i%5 == 3 || i == 104; lost != (err != nil) {
			t.Errorf("caller %d: %v", i, err)
		}
	})
	s.next.Add(1300)
	var got int
	if err := s.db.QueryRowContext(t.Context(), `SELECT count(*) FROM notes WHERE id >= $1 AND id < $2`, first+1000, first+1300).Scan(&got); err != nil || got != 119 {
		t.Fatalf("got %d notes (%v), want 119: those of the callers that succeeded", got, err)
	}
}

func (s *suite) rowsLeftOpen(t *testing.T) {
	a, b := s.id(), s.id()
	s.add(t, a)
	if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.QueryContext(t.Context(), `SELECT id FROM notes ORDER BY id`)
		if err == nil {
			rows.Next()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.add(t, b)
	s.want(t, s.db, b, 1)
}

func (s *suite) onCommit(t *testing.T) {
	id, other := s.id(), s.open()
	ran := false
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		tx.OnCommit(func() {
			ran = true
			s.want(t, other, id, 1)
		})
		return insert(t.Context(), tx, id)
	})
	if err != nil || !ran {
		t.Errorf("OnCommit ran: %t, err: %v", ran, err)
	}
	s.db.Update(t.Context(), func(tx *store.Tx) error {
		tx.OnCommit(func() { t.Error("OnCommit ran without a commit") })
		insert(t.Context(), tx, id)
		return nil
	})
}

func (s *suite) cancelledBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	id := s.id()
	err := s.db.Update(ctx, func(tx *store.Tx) error { return insert(ctx, tx, id) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	s.want(t, s.db, id, 0)
}

func (s *suite) cancelledWhile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	id := s.id()
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		cancel()
		return insert(ctx, tx, id)
	})
	if err != nil {
		t.Fatalf("got %v; the work was done, so the caller has to know", err)
	}
	s.want(t, s.db, id, 1)
}

func (s *suite) wholeForReaders(t *testing.T) {
	const pair = -1
	stop, halves := make(chan struct{}), atomic.Int64{}
	var reading sync.WaitGroup
	for range 3 {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				var n int
				if err := s.db.QueryRowContext(t.Context(), `SELECT count(*) FROM notes WHERE pair = $1`, pair).Scan(&n); err != nil {
					t.Error(err)
					return
				}
				halves.Add(int64(n % 2))
			}
		})
	}
	together(60, func(i int) {
		a, b := s.id(), s.id()
		if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
			for _, id := range []int64{a, b} {
				if _, err := tx.ExecContext(t.Context(), `INSERT INTO notes (id, pair, box) VALUES ($1, $2, $3)`, id, pair, []byte("x")); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	close(stop)
	reading.Wait()
	if n := halves.Load(); n != 0 {
		t.Fatalf("readers saw half an update %d times", n)
	}
}

func (s *suite) ownWrites(t *testing.T) {
	id := s.id()
	if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := insert(t.Context(), tx, id); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(t.Context(), `SELECT count(*) FROM notes WHERE id = $1`, id).Scan(&n); err != nil || n != 1 {
			return fmt.Errorf("the update sees its own note %d times: %w", n, err)
		}
		s.want(t, s.db, id, 0)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// serial spends each of ten codes many times: it may work once.
func (s *suite) serial(t *testing.T) {
	other := s.open()
	for range 10 {
		id := s.id()
		s.add(t, id)
		var spent atomic.Int64
		together(4, func(i int) {
			won := false
			if err := []*store.DB{s.db, other}[i%2].Update(t.Context(), func(tx *store.Tx) (err error) {
				won, err = spend(t.Context(), tx, id)
				return err
			}); err != nil {
				t.Error(err)
			} else if won {
				spent.Add(1)
			}
		})
		if n := spent.Load(); n != 1 {
			t.Fatalf("one code was spent %d times", n)
		}
	}
}

// spend looks, waits long enough for another to look too, and writes.
func spend(ctx context.Context, tx *store.Tx, id int64) (won bool, err error) {
	var pair int64
	if err := tx.QueryRowContext(ctx, `SELECT pair FROM notes WHERE id = $1`, id).Scan(&pair); err != nil || pair == 0 {
		return false, err
	}
	time.Sleep(2 * time.Millisecond)
	_, err = tx.ExecContext(ctx, `UPDATE notes SET pair = 0 WHERE id = $1`, id)
	return true, err
}

func (s *suite) readersCannotWrite(t *testing.T) {
	rows, err := s.db.QueryContext(t.Context(), `DELETE FROM notes RETURNING id`)
	if err == nil {
		for rows.Next() {
		}
		err = rows.Err()
		rows.Close()
	}
	if err == nil {
		t.Fatal("a reader deleted notes")
	}
}

func (s *suite) manyQueries(t *testing.T) {
	for i := range 1200 {
		var n int
		if err := s.db.QueryRowContext(t.Context(), fmt.Sprintf(`SELECT %d`, i)).Scan(&n); err != nil || n != i {
			t.Fatalf("query %d: %d, %v", i, n, err)
		}
	}
	if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		for i := range 1200 {
			var n int
			if err := tx.QueryRowContext(t.Context(), fmt.Sprintf(`SELECT %d`, i)).Scan(&n); err != nil || n != i {
				return fmt.Errorf("query %d: %d, %w", i, n, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) lease(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		holder string
		after  time.Duration
		want   bool
		why    string
	}{
		{"a", 0, true, "it is free"},
		{"b", 30 * time.Second, false, "a holds it"},
		{"a", 50 * time.Second, true, "a renews"},
		{"b", 70 * time.Second, false, "a has renewed"},
		{"b", 111 * time.Second, true, "it ran out"},
		{"a", 112 * time.Second, false, "b holds it now"},
	} {
		got, err := s.db.Lease(t.Context(), "weekly letter", step.holder, now.Add(step.after), time.Minute)
		if err != nil || got != step.want {
			t.Fatalf("%s after %s: got %t (%v), want %t: %s", step.holder, step.after, got, err, step.want, step.why)
		}
	}
}

func (s *suite) leaseRace(t *testing.T) {
	now, other := time.Now(), s.open()
	var held atomic.Int64
	together(20, func(i int) {
		db := []*store.DB{s.db, other}[i%2]
		got, err := db.Lease(t.Context(), "race", fmt.Sprint("server ", i), now, time.Minute)
		if err != nil {
			t.Error(err)
		}
		if got {
			held.Add(1)
		}
	})
	if n := held.Load(); n != 1 {
		t.Fatalf("%d servers hold the lease", n)
	}
}

func (s *suite) closing(t *testing.T) {
	db, first := s.open(), s.next.Add(200)-199
	acknowledged := make([]atomic.Bool, 200)
	var started sync.WaitGroup
	started.Add(1)
	go func() {
		started.Wait()
		db.Close()
	}()
	together(200, func(i int) {
		if i == 20 {
			started.Done()
		}
		err := db.Update(context.Background(), func(tx *store.Tx) error { return insert(context.Background(), tx, first+int64(i)) })
		if err != nil && !errors.Is(err, store.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
		acknowledged[i].Store(err == nil)
	})
	db.Close()
	for i := range acknowledged {
		s.want(t, s.db, first+int64(i), map[bool]int{true: 1}[acknowledged[i].Load()])
	}
}
