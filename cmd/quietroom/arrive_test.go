package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"quietroom/ground/web/webtest"
	"quietroom/rooms/backup"
	"quietroom/rooms/backup/restic/restictest"
)

// said is what a command prints, read while it runs.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestAHouseComesBackThroughTheFirstPage: a fresh installation, the sheet, go.
func TestAHouseComesBackThroughTheFirstPage(t *testing.T) {
	restictest.Need(t)
	was, s := backedUp(t, backup.Target{Kind: backup.Folder, Name: "USB", Place: filepath.Join(t.TempDir(), "usb")})
	practice := was.ID
	if err := was.close(); err != nil {
		t.Fatal(err)
	}
	b := webtest.Browser(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port)
	l.Close()
	dir := filepath.Join(t.TempDir(), "new")
	var err2 said
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serveCommand(ctx, &call{args: []string{"--dir", dir, "--listen", listen}, out: io.Discard, err: &err2, flags: newFlags("serve")})
	}()
	link := ""
	if err := eventually(func() bool {
		link = regexp.MustCompile(`http://\S+/claim/\S+`).FindString(err2.String())
		return link != ""
	}); err != nil {
		t.Fatal(err, err2.String())
	}
	pictures := os.Getenv("QUIETROOM_PICTURES")
	b.Go(link)
	b.See("a[href$='/bring-back']")
	b.Go(link + "/bring-back")
	b.EveryWay(link+"/bring-back", "bring-back", pictures)
	b.Type("#sheet", "Backup password: nonsense")
	b.Click("button.first")
	if text := b.See("p[role=alert]"); !strings.Contains(text, "names no place") {
		t.Errorf("a sheet without a place: %s", text)
	}
	b.Go(link + "/bring-back")
	b.Type("#sheet", s.Text())
	b.Click("button.first")
	time.Sleep(200 * time.Millisecond)
	if text := b.See("form[action$='/open'] button"); text == "" {
		t.Fatal("nothing to open")
	}
	if text := b.See("table"); !strings.Contains(text, "20") || !strings.Contains(text, "USB") {
		t.Errorf("the report says: %s", text)
	}
	if pictures != "" {
		b.Width(390)
		b.Screenshot(filepath.Join(pictures, "brought-back.png"))
	}
	if _, err := os.Stat(filepath.Join(dir, "arriving", "house", "house.json")); err != nil {
		t.Fatal("the fresh installation was touched before anybody pressed the button: ", err)
	}
	b.Click("form[action$='/open'] button")
	b.See("h1")
	if err := eventually(func() bool { return strings.Contains(err2.String(), "is open at") }); err != nil {
		t.Fatal(err, err2.String())
	}
	got, err := readSettings(dir)
	if err != nil || got.ID != practice {
		t.Fatalf("the house that is served is %v, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, arriving)); err == nil {
		t.Error("what moved in left its boxes")
	}
	b.Go("http://" + listen + "/")
	b.Go(link + "/bring-back") // the link ends with the arrival
	if h := b.See("h1"); strings.Contains(h, "Bring a practice back") {
		t.Errorf("the link still brings houses back, into one that lives: %s", h)
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the server does not end")
	}
}

// TestMovingInGoesOnWhereItWasCutOff: at any file.
func TestMovingInGoesOnWhereItWasCutOff(t *testing.T) {
	files := func(dir string, names ...string) {
		t.Helper()
		for _, n := range names {
			path := filepath.Join(dir, n)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(dir), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for cut := range 7 {
		dir := t.TempDir()
		at := filepath.Join(dir, arriving)
		files(at, goneFile)
		files(dir, "house.json", "house.db", "ledger.key", "run/lock")
		files(filepath.Join(at, "house"), "house.json", "house.db", "ledger.key")
		// What a server did that was killed after cut renames.
		done := 0
		for _, n := range []string{"house.db", "house.json", "ledger.key"} {
			if done < cut {
				files(filepath.Join(at, "fresh"), "x")
				os.Rename(filepath.Join(dir, n), filepath.Join(at, "fresh", n))
				done++
			}
		}
		if cut > 3 {
			files(at, inFile)
			for _, n := range []string{"house.db", "house.json", "ledger.key"} {
				if done < cut-1 {
					os.Rename(filepath.Join(at, "house", n), filepath.Join(dir, n))
					done++
				}
			}
		}
		if err := moveIn(dir); err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"house.json", "house.db", "ledger.key"} {
			if text, err := os.ReadFile(filepath.Join(dir, n)); err != nil || string(text) != filepath.Join(at, "house") {
				t.Errorf("cut off after %d: %s is of %q, %v", cut, n, text, err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "run", "lock")); err != nil {
			t.Error("the lock moved out")
		}
	}
}

// TestNobodyMovesIntoALivingHouse: a practice that was founded meanwhile stays.
func TestNobodyMovesIntoALivingHouse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "house")
	madeHouse(t, dir, 2)
	if err := beginMove(dir); !errors.Is(err, backup.ErrLiving) {
		t.Errorf("got %v, want ErrLiving", err)
	}
}
