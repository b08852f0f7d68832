package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quietroom/ground/store"
	"quietroom/ground/web"
)

func TestADirectoryTooLongForItsSocketIsRefusedAtTheStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 25))
	madeHouse(t, dir, 2)
	h, err := openHouse(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	err = h.serve(ctx, web.Server{Listen: "localhost:0"})
	if err == nil || !strings.Contains(err.Error(), "choose a shorter --dir") {
		t.Errorf("it was served without its socket: %v", err)
	}
}

func TestTheControlSocketIsItsUsersOwn(t *testing.T) {
	h, _, _, _ := taintedHouse(t)
	if err := eventually(func() bool { return alreadyServed(h.dir) != nil }); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{controlPath(h.dir): 0o600, filepath.Dir(controlPath(h.dir)): 0o700, h.dir: 0o700} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v (%v), want %v", path, info.Mode(), err, want)
		}
	}

	// whoever says something torn, or endless, or nothing, is left alone and stops nobody
	for _, said := range []string{"", "{", "\n\n[1,2]", strings.Repeat("x", 2<<20)} {
		conn, err := net.Dial("unix", controlPath(h.dir))
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(said)) // it may hang up in the middle
		defer conn.Close()
	}
	s := &tainted{T: t}
	if said := s.command("verify", "--dir", h.dir); !strings.Contains(said, "The ledger holds") {
		t.Errorf("after torn orders: %s", said)
	}
}

func TestADemoDoesNotRemoveWhatSomebodyWorksIn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "house")
	madeHouse(t, dir, 2)
	held, err := store.Lock(dir) // an import, say
	if err != nil {
		t.Fatal(err)
	}
	before, err := treeOf(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := clearDemo(dir); !errors.Is(err, store.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	after, err := treeOf(filepath.Join(dir, "blobs"))
	if err != nil || string(after) != string(before) {
		t.Errorf("something was removed: %v", err)
	}
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	if err := clearDemo(dir); err != nil {
		t.Error(err)
	}
}
