package main

import (
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/rooms/identity"
	"quietroom/rooms/identity/leaving"
)

// Somebody leaves who was in the directory and in a care team: from the tap to
// closed doors, asked at their verifiers, and on to the first note that is written
// under a new version of a patient's key.
func BenchmarkLeaving(b *testing.B) { onBoth(b, benchLeaving) }

func benchLeaving(b *testing.B) {
	h, ctx := openBench(b)
	u, _ := identity.UnlockedFrom(ctx)
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	team, err := h.identity.OwnTeam(ctx, u.Person)
	must(err)
	p := h.firstOf(b, team)
	var doors, tried, noted time.Duration
	n := 0
	for b.Loop() {
		b.StopTimer()
		who := h.joined(b, u, team)
		b.StartTimer()
		began := time.Now()
		a, err := h.leaving.Close(ctx, u, leaving.Asked{Person: who, Hour: h.now()})
		must(err)
		closed := time.Now()
		must(h.leaving.Try(ctx, a))
		asked := time.Now()
		_, err = h.writeDrillNote(ctx, p, "after the leaving")
		must(err)
		doors, tried, noted, n = doors+closed.Sub(began), tried+asked.Sub(closed), noted+time.Since(asked), n+1
	}
	for unit, took := range map[string]time.Duration{"close-ms/op": doors, "ask-ms/op": tried, "new-key-and-note-ms/op": noted} {
		b.ReportMetric(float64(took.Microseconds())/1000/float64(n), unit)
	}
}

// firstOf is a patient whose chart a team holds.
func (h *benchmarked) firstOf(b *testing.B, team id.Team) (p id.Patient) {
	b.Helper()
	if err := h.db.QueryRowContext(b.Context(), `SELECT min(patient) FROM vault_wraps WHERE team = $1 AND part = 'chart'`, team).Scan(&p); err != nil {
		b.Fatal(err)
	}
	return p
}

// joined lets somebody join, with the names and in a care team.
func (h *benchmarked) joined(b *testing.B, u *identity.Unlocked, care id.Team) id.Person {
	b.Helper()
	ctx := b.Context()
	n, err := h.identity.Newcomer("Somebody New", "", identity.Clinician)
	if err == nil {
		err = h.identity.AddCode(n, seal.NewCode(seal.Personal), "Code")
	}
	if err == nil {
		err = h.identity.Join(ctx, u, n)
	}
	if err != nil {
		b.Fatal(err)
	}
	roster, err := h.identity.Roster(ctx)
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range roster.Teams() {
		if t, _ := roster.Team(name); t.Kind == identity.DirectoryTeam || id.Team(name) == care {
			if err := h.identity.AddMember(ctx, u, id.Team(name), n.Person); err != nil {
				b.Fatal(err)
			}
		}
	}
	return n.Person
}

// BenchmarkHandOver hands patients over to a colleague and back.
func BenchmarkHandOver(b *testing.B) { onBoth(b, benchHandOver) }

func benchHandOver(b *testing.B) {
	h, ctx := openBench(b)
	var teams []id.Team
	for _, handle := range []string{"clinician-1", "clinician-2"} {
		session, done, err := h.identity.Enter(b.Context(), h.codes[handle])
		if err != nil {
			b.Fatal(err)
		}
		team, err := h.identity.OwnTeam(session, id.From(session).Person)
		if done(); err != nil {
			b.Fatal(err)
		}
		teams = append(teams, team)
	}
	all, i := 0, 0
	for b.Loop() {
		moved, closed, _, err := h.vault.HandOver(ctx, teams[i%2], teams[(i+1)%2], "", 128)
		if err != nil || closed > 0 || moved == 0 {
			b.Fatalf("%d moved, %d closed: %v", moved, closed, err)
		}
		all, i = all+moved, i+1
	}
	b.ReportMetric(float64(all)/b.Elapsed().Seconds(), "patients/s")
}
