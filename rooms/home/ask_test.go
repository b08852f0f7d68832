package home_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"quietroom/layer"
	"quietroom/rooms/home"
)

// room is a room that says what it is told to say.
func room(name string, say func(ctx context.Context, yield func(layer.Evidence, error) bool)) layer.Layer {
	return layer.Layer{Name: name, Evidence: func(ctx context.Context) iter.Seq2[layer.Evidence, error] {
		return func(yield func(layer.Evidence, error) bool) { say(ctx, yield) }
	}}
}

func TestABrokenRoomHidesNobodyElsesEvidence(t *testing.T) {
	for _, c := range []struct {
		title string
		say   func(ctx context.Context, yield func(layer.Evidence, error) bool)
	}{
		{"it hangs and does not even hear that it is to stop", func(context.Context, func(layer.Evidence, error) bool) { select {} }},
		{"it panics", func(context.Context, func(layer.Evidence, error) bool) { panic("x") }},
		{"it panics after its first sentence", func(_ context.Context, yield func(layer.Evidence, error) bool) {
			yield(safe("devices.encrypted", layer.Devices, "All is well.", start.Add(time.Hour*2)), nil)
			panic("x")
		}},
		{"it never ends", func(_ context.Context, yield func(layer.Evidence, error) bool) {
			for yield(safe("devices.encrypted", layer.Devices, "All is well.", start), nil) {
			}
		}},
		{"it says an error", func(_ context.Context, yield func(layer.Evidence, error) bool) {
			yield(layer.Evidence{Claim: "devices.encrypted"}, errors.New("disk went away"))
		}},
	} {
		t.Run(c.title, func(t *testing.T) {
			p := newPractice(t)
			broken := false
			asker := &home.Asker{Now: p.clock, Patience: 200 * time.Millisecond}
			rooms := []layer.Layer{
				room("devices", func(ctx context.Context, yield func(layer.Evidence, error) bool) {
					if broken {
						c.say(ctx, yield)
						return
					}
					yield(safe("devices.encrypted", layer.Devices, "All computers are encrypted.", p.now), nil)
				}),
				room("vault", func(_ context.Context, yield func(layer.Evidence, error) bool) {
					yield(safe("vault.wrapped", layer.Records, "Sealed.", p.now), nil)
				}),
			}
			p.Home.Evidence = func(ctx context.Context) iter.Seq2[layer.Evidence, error] { return asker.Ask(ctx, rooms) }
			state := func(claim string) layer.State {
				t.Helper()
				all, err := p.Kept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range all {
					if e.Claim == claim {
						return e.At(p.now).State
					}
				}
				return layer.NotKnown
			}
			if err := p.look(); err != nil || state("devices.encrypted") != layer.Safe {
				t.Fatalf("a sound house is not safe: %v", err)
			}
			broken = true
			p.now = p.now.Add(12 * time.Hour)
			if err := p.look(); err == nil {
				t.Error("a room did not answer, and the look says nothing of it")
			}
			if state("vault.wrapped") != layer.Safe {
				t.Error("a broken room hides its neighbour")
			}
			p.now = p.now.Add(13 * time.Hour) // past the end of what devices said when it was sound
			if err := p.look(); err == nil {
				t.Error("a room did not answer for the second time, and the look says nothing of it")
			}
			if s := state("devices.encrypted"); s != layer.NotKnown {
				t.Errorf("25 hours after a room broke it is still %v", s)
			}
			if s := state("vault.wrapped"); s != layer.Safe {
				t.Errorf("its neighbour reads %v", s)
			}
		})
	}
}

func TestARoomThatLiesAboutItsTimeIsNotBelieved(t *testing.T) {
	p := newPractice(t)
	asker := &home.Asker{Now: p.clock}
	lie := layer.Evidence{Claim: "a.future", State: layer.Safe, Seen: p.now.AddDate(1, 0, 0), Until: p.now.AddDate(2, 0, 0)}
	ever := layer.Evidence{Claim: "a.ever", State: layer.Safe, Seen: p.now, Until: p.now.AddDate(50, 0, 0)}
	got := map[string]layer.Evidence{}
	for e, err := range asker.Ask(t.Context(), []layer.Layer{room("a", func(_ context.Context, yield func(layer.Evidence, error) bool) {
		_ = yield(lie, nil) && yield(ever, nil)
	})}) {
		if err != nil {
			t.Fatal(err)
		}
		got[e.Claim] = e
	}
	if e := got["a.future"]; e.At(p.now).State != layer.NotKnown || e.At(p.now.AddDate(1, 0, 1)).State != layer.NotKnown {
		t.Errorf("what was seen in the future reads %v", e.State)
	}
	if e := got["a.ever"]; e.At(p.now.AddDate(2, 0, 0)).State != layer.NotKnown {
		t.Error("what was seen once counts for fifty years")
	}
}

func TestWhatWasSeenAfterNowIsNotKnown(t *testing.T) {
	e := safe("a.b", layer.Records, "x", start)
	if s := e.At(start.Add(-time.Hour)).State; s != layer.NotKnown {
		t.Errorf("a clock that was set back shows %v of what it did not see yet", s)
	}
}
