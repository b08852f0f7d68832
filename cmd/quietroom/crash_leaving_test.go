package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/rooms/identity"
	"quietroom/rooms/identity/leaving"
)

// everybodyLeaves closes the doors of all but the owner, every second person by a
// plan whose hour comes at once, and says who has left durably.
func (h *house) everybodyLeaves(ctx context.Context, code seal.Code) error {
	ctx, done, err := h.identity.Enter(ctx, code)
	if err != nil {
		return err
	}
	defer done()
	u, _ := identity.UnlockedFrom(ctx)
	roster, err := h.identity.Roster(ctx)
	if err != nil {
		return err
	}
	for i, name := range roster.People() {
		p, _ := roster.Person(name)
		switch {
		case p.Gone || name == string(u.Person):
			continue
		case i%2 == 0:
			_, err = h.leaving.Close(ctx, u, leaving.Asked{Person: id.Person(name), Hour: h.now()})
		default:
			if _, err = h.leaving.Plan(ctx, u, leaving.Asked{Person: id.Person(name), Hour: h.now().Add(time.Millisecond)}); err == nil {
				time.Sleep(2 * time.Millisecond)
				err = h.closeDue(ctx)
			}
		}
		if err != nil {
			return err
		}
		fmt.Println("left", name)
	}
	select {} // until it is killed
}

// closeDue has plans carried out whose hour has come, as the job does.
func (h *house) closeDue(ctx context.Context) error {
	for _, job := range h.leaving.Layer().Jobs {
		if strings.HasPrefix(job.Name, "close doors") {
			return job.Run(ctx)
		}
	}
	return fmt.Errorf("no job closes doors")
}

// A leaving is before or after, wherever it is killed, and never between.
func TestKilledWhileSomebodyLeaves(t *testing.T) {
	first := filepath.Join(t.TempDir(), "first")
	codeFile, code := madeHouse(t, first, 8)
	points, partly, gone := killPoints(), 0, 0
	for point := range points {
		dir := filepath.Join(t.TempDir(), "house")
		if err := copyTree(first, dir); err != nil {
			t.Fatal(err)
		}
		moment := func() { time.Sleep(time.Duration(point) * 600 * time.Millisecond / time.Duration(points)) }
		said := murdered(t, moment, "victim", "leave", dir, codeFile)
		h, ctx := survivor(t, dir, code)
		left, all := h.beforeOrAfter(t, ctx, said)
		if gone += left; left > 0 && left < all {
			partly++
		}
		if err := h.closeDue(ctx); err != nil { // a plan that was signed is carried out by the next server
			t.Fatal(err)
		}
		h.beforeOrAfter(t, ctx, said)
		session, done, err := h.identity.Enter(t.Context(), code)
		if err != nil {
			t.Fatal(err)
		}
		h.whole(t, session, nil)
		done()
		if err := h.close(); err != nil {
			t.Fatal(err)
		}
	}
	if partly == 0 {
		t.Fatal("no kill came in the middle: this tried nothing")
	}
	t.Logf("%d kills, %d in the middle, %d people left", points, partly, gone)
}

// beforeOrAfter fails unless everybody is here with all doors and keys, or has
// left without any.
func (h *house) beforeOrAfter(t *testing.T, ctx context.Context, said []string) (left, all int) {
	t.Helper()
	roster, err := h.identity.Roster(ctx)
	if err != nil {
		t.Fatal(err)
	}
	count := func(query string, args ...any) (n int) {
		t.Helper()
		if err := h.db.QueryRowContext(ctx, query, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, name := range roster.People() {
		p, _ := roster.Person(name)
		all++
		doors, keys := count(`SELECT count(*) FROM identity_doors WHERE person = $1`, name), count(`SELECT count(*) FROM identity_team_keys WHERE holder = $1`, name)
		closed := count(`SELECT count(*) FROM leaving_acts WHERE person = $1 AND closed > 0`, name)
		if p.Gone {
			left++
		}
		switch {
		case p.Gone && (doors > 0 || keys > 0 || closed != 1):
			t.Fatalf("%s has left, with %d doors and %d keys, and %d closed leavings", name, doors, keys, closed)
		case !p.Gone && (doors == 0 || keys == 0 || closed != 0):
			t.Fatalf("%s is here, with %d doors and %d keys, and %d closed leavings", name, doors, keys, closed)
		case !p.Gone && slices.Contains(said, "left "+name):
			t.Fatalf("%s had left durably, and is here", name)
		}
	}
	for _, name := range roster.Teams() {
		team, _ := roster.Team(name)
		if roster.Stale(name) {
			t.Fatalf("team %s has a key that somebody who left held", team.Name)
		}
		for _, m := range team.Members {
			if count(`SELECT count(*) FROM identity_team_keys WHERE holder = $1 AND team = $2 AND epoch = $3`, m, name, int64(team.Epoch)) != 1 {
				t.Fatalf("member %s of team %s does not have key %d", m, team.Name, team.Epoch)
			}
		}
	}
	return left, all
}
