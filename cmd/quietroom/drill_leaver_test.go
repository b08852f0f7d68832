package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"testing"

	"quietroom/layer"
)

func runLeaverDrill(t *testing.T, house *trial, sabotage bool) layer.Report {
	t.Helper()
	r, err := house.runLeaver(t.Context(), &layer.Stage{Trial: &house.Trial, Sabotage: sabotage})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	return r
}

func TestWhoHasLeftOpensNoDoorAndNothingWrittenLater(t *testing.T) {
	r := runLeaverDrill(t, testTrial(t, 30), false)
	if r.Held == nil || !*r.Held || r.Opened != 0 || r.Tried < 12+leaverNotes {
		t.Errorf("the drill did not hold: %v", r.Findings)
	}
}

func TestALeavingThatSignsNoNewKeysFails(t *testing.T) {
	r := runLeaverDrill(t, testTrial(t, 30), true)
	if r.Held == nil || *r.Held || r.Opened == 0 || len(r.Findings) == 0 {
		t.Errorf("nobody signed new keys, and the drill held: %+v", r)
	}
}

func TestWhoHasLeftAGroupOnPostgreSQLOpensNothingEither(t *testing.T) {
	house := groupTrial(t)
	r := runLeaverDrill(t, house, false)
	if r.Held == nil || !*r.Held || r.Opened != 0 || r.Tried < 12+leaverNotes {
		t.Errorf("the drill did not hold: %v", r.Findings)
	}
}

// groupTrial serves one instance of a made-up group as a trial house.
func groupTrial(t *testing.T) *trial {
	t.Helper()
	g := newGroup(t)
	h, err := openHouse(t.Context(), g.dirs[0], slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	house := &trial{house: h, above: t.TempDir()}
	house.Trial = layer.Trial{Dir: g.dirs[0], URL: "http://localhost:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port), Codes: map[string]string{}, DB: h.db, Unlock: house.enter, Take: house.take}
	for handle, code := range g.codes {
		house.Codes[handle] = code.Text()
	}
	running, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	srv := &http.Server{Handler: h.mux}
	go func() { defer close(ended); h.run(running) }()
	go srv.Serve(l)
	t.Cleanup(func() {
		stop()
		<-ended
		srv.Close()
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
	return house
}
