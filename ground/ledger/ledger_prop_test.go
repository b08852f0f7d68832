package ledger

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
)

var anyFact = rapid.Custom(func(t *rapid.T) Fact {
	ident := rapid.StringMatching(`[A-Za-z0-9.-]{0,26}`)
	fixed := rapid.StringMatching(`[a-z-]{0,12}`)
	f := Fact{
		At: time.UnixMilli(rapid.Int64Range(1, maxTime).Draw(t, "at")).UTC(),
		Actor: id.Actor{Person: id.Person(ident.Draw(t, "person")), Device: id.Device(ident.Draw(t, "device")),
			Session: id.Session(ident.Draw(t, "session"))},
		Kind:    rapid.StringMatching(`[a-z-]{1,9}\.[a-z.-]{1,12}`).Draw(t, "kind"),
		Subject: ident.Draw(t, "subject"), Part: fixed.Draw(t, "part"), Record: ident.Draw(t, "record"),
		Version: rapid.Int64Min(0).Draw(t, "version"), Reason: fixed.Draw(t, "reason"), Ref: ident.Draw(t, "ref"),
	}
	if rapid.Bool().Draw(t, "hashed") {
		f.Hash = rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash")
	}
	return f
})

func TestEveryFactComesBackFromItsBody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFact.Draw(t, "fact")
		if err := f.check(); err != nil {
			t.Fatal(err)
		}
		got, err := parse(string(encode(f)))
		if err != nil {
			t.Fatal(err)
		}
		if string(encode(got)) != string(encode(f)) || !got.At.Equal(f.At) || got.Actor != f.Actor || got.Kind != f.Kind {
			t.Fatalf("got %+v, want %+v", got, f)
		}
	})
}

// TestAnyInterleavingKeepsTheOrderOfWriting appends and numbers at random, and
// compares with a plain list.
func TestAnyInterleavingKeepsTheOrderOfWriting(t *testing.T) {
	house := openLedger(t)
	rapid.Check(t, func(t *rapid.T) {
		empty(t, house)
		l, written, numbered := house, []Fact(nil), 0
		var heads []Checkpoint
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				facts := rapid.SliceOfN(anyFact, 1, 300).Draw(t, "facts")
				if len(written) > 700 {
					facts = facts[:1]
				}
				appendFacts(t, l.db, facts...)
				written = append(written, facts...)
			},
			"number": func(t *rapid.T) {
				if err := l.drain(context.Background()); err != nil {
					t.Fatal(err)
				}
				numbered = len(written)
				head, err := l.Head(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				heads = append(heads, head)
			},
			"": func(t *rapid.T) {
				i := 0
				for e, err := range l.Facts(context.Background(), Query{}) {
					n := int64(i + 1)
					if i >= numbered {
						n = 0
					}
					if err != nil || e.N != n || string(encode(e.Fact)) != string(encode(written[i])) {
						t.Fatalf("fact %d comes as %d: %+v (%v)", i+1, e.N, e.Fact, err)
					}
					i++
				}
				if i != len(written) {
					t.Fatalf("%d facts come back, want %d", i, len(written))
				}
			},
		})
		r, err := reader(l).Verify(context.Background(), Options{Witness: heads})
		if err != nil || !r.Held() || r.Waiting != int64(len(written)-numbered) {
			t.Fatalf("verify: %+v %+v (%v)", r, r.Finding, err)
		}
	})
}

func TestOneEditAnywhereIsFound(t *testing.T) {
	l, heads := days(t, openStore(t), 300, 300, 111)
	const total = 711
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, total).Draw(t, "n")
		body := bodyOf(t, l, n)
		at := rapid.IntRange(0, len(body)-1).Draw(t, "at")
		with := rapid.StringMatching(`[a-z0-9]`).Draw(t, "with")
		edited := body[:at] + with + body[at+1:]
		if edited == body {
			t.Skip()
		}
		err := l.db.Update(context.Background(), func(tx *store.Tx) error {
			_, err := tx.ExecContext(context.Background(), setBody, n, edited)
			return err
		})
		if err != nil {
			t.Skip("the database refuses what is no JSON")
		}
		r := verify(t, l, heads...)
		if r.Finding == nil || r.Finding.Fact != n {
			t.Fatalf("fact %d was edited, and verify says %+v", n, r.Finding)
		}
		exec(t, l.db, setBody, n, body)
	})
	if r := verify(t, l, heads...); !r.Held() {
		t.Fatalf("the edits were undone, and verify says %+v", r.Finding)
	}
}

func TestSeveralInstancesGiveOneGaplessOrder(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		key := testKey(t)
		ctx, stop := context.WithCancel(t.Context())
		var instances []*Ledger
		var run, write sync.WaitGroup
		for range 2 {
			l, err := Open(t.Context(), open(), key, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			instances = append(instances, l)
			run.Go(func() { // without the lease, so that they really collide
				for ctx.Err() == nil {
					if _, err := l.Sequence(t.Context()); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		const writers, each = 4, 60
		for w := range writers {
			write.Go(func() {
				for i := range each {
					f := opened(i)
					f.Version = int64(w + 1)
					appendFacts(t, instances[w%2].db, f)
				}
			})
		}
		write.Wait()
		stop()
		run.Wait()
		l := instances[0]
		if r := verify(t, l); !r.Held() || r.Facts != writers*each || r.Waiting != 0 {
			t.Fatalf("verify: %+v %+v", r, r.Finding)
		}
		next, last := int64(1), map[int64]time.Time{}
		for e, err := range l.Facts(t.Context(), Query{}) {
			if err != nil || e.N != next || e.At.Before(last[e.Version]) {
				t.Fatalf("fact %d comes as %d at %v (%v), want no gap, and each writer's facts in the order of writing", next, e.N, e.At, err)
			}
			next, last[e.Version] = next+1, e.At
		}
	})
}

func TestTheSequencerNumbersByItself(t *testing.T) {
	l := openLedger(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	for i := range 9 {
		appendFacts(t, l.db, opened(i))
		numbered(t, l, int64(i)+1)
	}
	appendFacts(t, l.db, opened(100))
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if head, err := l.Head(t.Context()); err != nil || head.Size != 10 {
		t.Fatalf("after the end %d facts are numbered (%v), want all 10", head.Size, err)
	}
}

// numbered waits until so many facts are numbered.
func numbered(t testing.TB, l *Ledger, size int64) {
	t.Helper()
	for {
		head, err := l.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if head.Size >= size {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestALeaseThatNeverEndsDelaysAndStopsNobody(t *testing.T) {
	l := openLedger(t)
	wrong := time.Now().Add(70 * 365 * 24 * time.Hour)
	if held, err := l.db.Lease(t.Context(), leaseName, "AN INSTANCE THAT DIED", wrong, leaseTime); err != nil || !held {
		t.Fatal(held, err)
	}
	appendMany(t, l, 1)
	turn := turn{l: l, holder: "ANOTHER"}
	if mine, err := turn.take(t.Context()); err != nil || mine {
		t.Fatalf("it steps in at once (%v)", err)
	}
	turn.since = turn.since.Add(-2*leaseTime - time.Second)
	if mine, err := turn.take(t.Context()); err != nil || !mine {
		t.Fatalf("nobody numbers the facts any more (%v)", err)
	}
}

func TestARestartBetweenWritingAndNumberingLosesNothing(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		key := testKey(t)
		for i := range 5 {
			db := open()
			l, err := Open(t.Context(), db, key, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			appendMany(t, l, 100)
			if i%2 == 1 {
				if _, err := l.Sequence(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			appendMany(t, l, 1+rand.IntN(50))
			db.Close() // and nobody numbers the last ones
		}
		l, err := Open(t.Context(), open(), key, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if r := verify(t, reader(l)); !r.Held() || r.Waiting == 0 {
			t.Fatalf("before numbering: %+v %+v", r, r.Finding)
		}
		if r := verify(t, l); !r.Held() || r.Facts < 505 || r.Waiting != 0 {
			t.Fatalf("after numbering: %+v %+v", r, r.Finding)
		}
	})
}
