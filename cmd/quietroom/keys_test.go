package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/rooms/backup"
	"quietroom/rooms/backup/restic/restictest"
)

// entered is a session that a request finds, without a browser.
type entered struct{ ctx context.Context }

func (e entered) Enter(http.ResponseWriter, *http.Request) (context.Context, func(), error) {
	return e.ctx, func() {}, nil
}
func (entered) IsOwner(context.Context) bool  { return true }
func (entered) Person(context.Context) string { return "" }

// TestKeysAreOpenedByThosePeopleTheyAreFor: what nobody opened yet waits, by
// name; what opens lies in the copy that was brought back; what was damaged is found.
func TestKeysAreOpenedByThosePeopleTheyAreFor(t *testing.T) {
	restictest.Need(t)
	dir := filepath.Join(t.TempDir(), "house")
	m := madeUp{Seed: 7, Patients: 20, Day: time.Now()}
	codes, err := makeDemo(t.Context(), dir, "http://localhost:8470", m, slog.New(slog.DiscardHandler), func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	h, err := openHouse(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if _, _, err := h.backup.AddTarget(t.Context(), backup.Target{Kind: backup.Folder, Name: "USB", Place: filepath.Join(t.TempDir(), "usb")}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.backup.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if p, err := h.backup.Prove(t.Context(), nil); err != nil || !p.Held {
		t.Fatalf("%+v, %v", p, err)
	}
	as := func(handle string) (context.Context, func()) {
		t.Helper()
		code, err := seal.ParseCode(seal.Personal, codes[handle].Text())
		if err != nil {
			t.Fatal(err)
		}
		ctx, done, err := h.identity.Enter(t.Context(), code)
		if err != nil {
			t.Fatal(err)
		}
		return ctx, done
	}
	ctx, done := as("front-desk-1")
	desk, err := h.backup.TryKeys(ctx)
	done()
	if err != nil || desk.Opened == 0 || desk.Waiting == 0 || desk.Opened+desk.Waiting != desk.All || desk.Same != desk.Opened || desk.Restored != desk.All || len(desk.Wait) == 0 {
		t.Fatalf("after the front desk: %+v, %v", desk, err)
	}
	// A page that a clinician asks for goes on where others ended.
	ctx, done = as("owner-1")
	defer done()
	s := h.backup.Sessions(entered{ctx})
	var k backup.Opening
	for range 200 {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		_, end, err := s.Enter(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		end()
		h.late.Add(int64(time.Minute))
	}
	if k, err = h.backup.TryKeys(ctx); err != nil || k.Opened <= desk.Opened {
		t.Fatalf("after the owner's pages: %+v, %v; the front desk left %d", k, err, desk.Opened)
	}
	for e, err := range h.backup.Layer().Evidence(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Claim == "backup.opened" && !strings.Contains(e.Text, " keys opened") {
			t.Errorf("home does not say it: %s", e.Text)
		}
	}
	err = h.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE vault_wraps SET box = $1 WHERE part = 'identity' AND patient = (SELECT MIN(patient) FROM vault_wraps WHERE part = 'identity')`, make([]byte, 61))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.late.Add(int64(7 * 24 * time.Hour))
	if k, err = h.backup.TryKeys(ctx); err != nil || k.Failed != 1 {
		t.Fatalf("a damaged key: %+v, %v", k, err)
	}
	var out strings.Builder
	printBackup(io.Writer(&out), backupResult{Keys: &k})
	if !strings.Contains(out.String(), "1 keys do not open") {
		t.Error(out.String())
	}
}
