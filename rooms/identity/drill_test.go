package identity

import (
	"context"
	"testing"
	"time"

	"quietroom/layer"
	"quietroom/rooms/identity/authenticator"
)

// stage is a trial house of Ana and Jo.
func stage(t *testing.T) (*Identity, *layer.Stage) {
	h := newHouse(t)
	s := &served{t: t, db: h.db, clock: &clock{t: time.Now()}}
	s.Identity = New(Config{DB: h.db, Anchor: h.Anchor, Now: s.clock.now, MadeUp: true, Origin: "http://localhost"})
	s.serveHouse()
	return s.Identity, &layer.Stage{Trial: &layer.Trial{Later: s.clock.pass, URL: s.url, Codes: map[string]string{"clinician-1": h.jo.Text()}, DB: h.db}}
}

func TestTenThousandTriesLetNobodyInAndLockNobodyOut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	i, st := stage(t)
	report, err := i.runPushSpam(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", report)
	if report.Held == nil || !*report.Held || report.Tried != spamTries || report.Opened != 0 {
		t.Errorf("the drill did not hold: %v", report.Findings)
	}
	if report.TookMS > 10_000 {
		t.Logf("the drill took %d ms, longer than it should", report.TookMS)
	}
}

func TestADrillWithALockOutFails(t *testing.T) {
	i, st := stage(t)
	st.Sabotage = true
	report, err := i.runPushSpam(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	if report.Held == nil || *report.Held || len(report.Findings) == 0 {
		t.Errorf("the person was locked out, and the drill held: %+v", report)
	}
}

func TestTheDrillNoticesWhoComesIn(t *testing.T) {
	i, st := stage(t)
	s, err := i.newSpam(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	s.look(t.Context(), attack{"the person's own passkey", func(ctx context.Context, s *spam, b *authenticator.Browser) error {
		return s.answer(ctx, b, func(*authenticator.Device, *authenticator.Browser, *authenticator.Question) error { return nil })
	}}, "a-network")
	if s.opened != 1 || len(s.findings) != 1 {
		t.Errorf("somebody came in, and the drill counts %d and finds %v", s.opened, s.findings)
	}
}

func TestACopiedPairOfCookiesIsSoonDeadAndApprovesNothing(t *testing.T) {
	i, st := stage(t)
	report, err := i.runCookieTheft(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", report)
	if report.Held == nil || !*report.Held || report.Opened != 0 {
		t.Errorf("the drill did not hold: %v", report.Findings)
	}
	if n := report.More["minutes_readable"]; n != 8 {
		t.Errorf("the copy could read for %v minutes; a proof is made for nine, and the copy is a little younger", n)
	}
}

func TestACopyWithTheBrowsersKeyIsNoticed(t *testing.T) {
	i, st := stage(t)
	st.Sabotage = true
	report, err := i.runCookieTheft(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	if report.Held == nil || *report.Held || len(report.Findings) == 0 {
		t.Errorf("the browser gave its key away, and the drill held: %+v", report)
	}
}
