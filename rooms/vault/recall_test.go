package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
)

// seen opens a chart twice and reads all of it, so that its rows are remembered.
func (h *house) seen(t *testing.T, ctx context.Context, p id.Patient, rec id.Record) {
	t.Helper()
	for range 2 {
		if _, err := h.read(ctx, p, Chart, rec); err != nil {
			t.Fatal(err)
		}
		c, err := h.Open(ctx, p, Chart)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.List(ctx); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

func (h *house) change(t *testing.T, ctx context.Context, p id.Patient, rec id.Record, version uint64, text string) {
	t.Helper()
	b, err := h.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Drop()
	c, err := b.In(ctx, p, Chart)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(ctx, c, Draft{Record: rec, Version: version, Body: []byte(text)}); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsRememberedHidesNoChangeFromOutside(t *testing.T) {
	for name, sql := range map[string][]string{
		"a row put back":       {`INSERT OR REPLACE INTO vault_records SELECT * FROM kept`},
		"a row deleted":        {`DELETE FROM vault_records WHERE part = 'chart'`},
		"a row moved":          {`UPDATE vault_records SET head = (SELECT head FROM vault_records WHERE part = 'identity') WHERE part = 'chart'`},
		"the wraps removed":    {`DELETE FROM vault_wraps WHERE part = 'chart'`},
		"the wraps put back":   {`DELETE FROM vault_wraps WHERE part = 'chart'`, `INSERT INTO vault_wraps SELECT * FROM keptwraps`},
		"the statement":        {`UPDATE vault_care SET box = x'01' WHERE part = 'chart'`},
		"an older key removed": {`DELETE FROM vault_older WHERE part = 'chart'`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
			rec := h.write(t, h.jo, p, Chart, "first words")
			h.do(t, `CREATE TABLE kept AS SELECT * FROM vault_records WHERE part = 'chart'`)
			h.do(t, `CREATE TABLE keptwraps AS SELECT * FROM vault_wraps WHERE part = 'chart'`)
			h.staff.rotate(h.joTeam) // so that the next write makes a second key
			h.change(t, h.jo, p, rec, 1, "second words")
			h.seen(t, h.jo, p, rec)
			for _, one := range sql {
				h.do(t, one)
			}
			c, err := h.Open(h.jo, p, Chart)
			if err == nil {
				_, _, err = c.Read(h.jo, rec)
			}
			if !errors.Is(err, ErrChanged) {
				t.Errorf("reading gave %v, want ErrChanged", err)
			}
			if c != nil {
				if _, err := c.List(h.jo); !errors.Is(err, ErrChanged) {
					t.Errorf("listing gave %v, want ErrChanged", err)
				}
			}
		})
	}
}

func TestAChangeIsNoticedInAChartThatIsOpenAlready(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
	rec := h.write(t, h.jo, p, Chart, "words")
	h.seen(t, h.jo, p, rec)
	c, err := h.Open(h.jo, p, Chart)
	if err != nil {
		t.Fatal(err)
	}
	h.do(t, `UPDATE vault_records SET size = size + 1 WHERE part = 'chart'`)
	if _, _, err := c.Read(h.jo, rec); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v, want ErrChanged", err)
	}
}

func TestWhatIsRememberedOpensToNobodyWhoLeft(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
	rec := h.write(t, h.jo, p, Chart, "words")
	h.seen(t, h.jo, p, rec)
	if _, err := h.read(h.ana, p, Chart, rec); !errors.Is(err, ErrNotYours) {
		t.Errorf("somebody of another team: got %v, want ErrNotYours", err)
	}
	h.staff.in[id.From(h.jo).Person] = nil
	if _, err := h.read(h.jo, p, Chart, rec); !errors.Is(err, ErrNotYours) {
		t.Errorf("somebody who left: got %v, want ErrNotYours", err)
	}
	if _, err := h.read(t.Context(), p, Chart, rec); !errors.Is(err, ErrLocked) {
		t.Errorf("without a session: got %v, want ErrLocked", err)
	}
}

func TestWhatIsRememberedIsSealed(t *testing.T) {
	h := newHouse(t)
	p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
	rec := h.write(t, h.jo, p, Chart, "plain words")
	h.seen(t, h.jo, p, rec)
	key := h.keyOf(t, h.jo, p)
	if len(h.rows.things) < 4 { // wraps, facts, heads and the row
		t.Fatalf("only %d things are remembered", len(h.rows.things))
	}
	for at, thing := range h.rows.things {
		var held [][]byte
		rows := func(some ...row) {
			for _, r := range some {
				held = append(held, r.Head, r.head, r.box, r.sum)
			}
		}
		switch thing := thing.(type) {
		case []wrap:
			for _, w := range thing {
				held = append(held, w.box, w.tag, w.stated)
			}
		case []row:
			rows(thing...)
		case row:
			rows(thing)
		case map[string]ledger.Write:
		default:
			t.Fatalf("%v: a %T", at, thing)
		}
		for _, b := range held {
			if bytes.Contains(b, []byte("plain words")) || bytes.Contains(b, []byte("Aldridge")) || bytes.Contains(b, key[:]) {
				t.Errorf("%v is remembered opened", at)
			}
		}
	}
}

func TestWhatIsRememberedStaysSmall(t *testing.T) {
	var m rowMemory
	for i := range 1000 {
		m.put(1, place{what: fmt.Sprint(i)}, i, mostOfOne)
	}
	if m.size > mostRecalled || len(m.things) == 0 {
		t.Errorf("%d things of %d bytes", len(m.things), m.size)
	}
	if m.put(1, place{what: "large"}, 0, mostOfOne+1); m.things[place{what: "large"}] != nil {
		t.Error("a large thing is remembered")
	}
	if m.put(2, place{what: "new"}, 0, 1); len(m.things) != 1 {
		t.Error("things of an older version are still there")
	}
	if m.put(1, place{what: "late"}, 0, 1); len(m.things) != 1 {
		t.Error("a thing of an older version was put in")
	}
}

func TestTwoServersReadWhatTheOtherOneWrote(t *testing.T) {
	storetest.Databases(t, func(t *testing.T, open func() *store.DB) {
		h := houseIn(t, open())
		db := h.db
		if db.Kind() == store.Postgres { // on SQLite one process has the house
			db = open()
		}
		l, err := ledger.Open(t.Context(), db, h.key, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		conf := h.Config
		conf.DB, conf.Ledger = db, l
		other := &house{Vault: New(conf), db: db, staff: h.staff}
		p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
		rec := h.write(t, h.jo, p, Chart, "0")
		for version := uint64(1); version < 7; version++ {
			at, by := h, other
			if version%2 == 0 {
				at, by = other, h
			}
			h.seen(t, h.jo, p, rec)
			other.seen(t, h.jo, p, rec)
			if version%3 == 0 {
				if _, err := l.Sequence(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			by.change(t, h.jo, p, rec, version, fmt.Sprint(version))
			if got, err := at.read(h.jo, p, Chart, rec); err != nil || got != fmt.Sprint(version) {
				t.Fatalf("got %q, %v; want %d", got, err, version)
			}
		}
		at, err := other.Open(h.jo, p, Chart)
		if err != nil {
			t.Fatal(err)
		}
		at.Close()
		b, err := h.Begin(h.jo)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.SetCare(h.jo, p, []id.Team{h.anTeam}); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(h.jo); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Open(h.jo, p, Chart); !errors.Is(err, ErrNotYours) {
			t.Errorf("after the care went to another team: got %v, want ErrNotYours", err)
		}
	})
}
