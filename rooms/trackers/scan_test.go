package trackers_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quietroom/rooms/trackers"
	"quietroom/rooms/trackers/chrome"
	"quietroom/rooms/trackers/plant"
)

// needsBrowser skips under -short, and where there is no Chromium unless CI=1.
func needsBrowser(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser test: skipped under -short")
	}
	if _, _, err := chrome.Find(t.Context()); errors.Is(err, chrome.ErrMissing) && os.Getenv("CI") != "1" {
		t.Skip("no Chromium on this machine: run make deps")
	}
}

// profile is a directory into which the browser's own user gets.
func profile(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "scan-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func scan(t testing.TB, o trackers.Options) *trackers.Result {
	t.Helper()
	o.Local, o.Dir = true, profile(t)
	r, err := trackers.Scan(context.WithoutCancel(t.Context()), o)
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("QUIETROOM_PICTURES"); dir != "" {
		for name, png := range r.Pictures() {
			_ = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+"-"+name), png, 0o600)
		}
		_ = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+".har"), r.Archive(), 0o600)
	}
	return r
}

func TestEveryPlantedLeakIsFound(t *testing.T) {
	needsBrowser(t)
	t.Parallel()
	site, err := plant.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer site.Close()
	r := scan(t, trackers.Options{URL: site.URL, Pages: 14})
	ways := plant.Planted()
	if len(ways) < 60 {
		t.Fatalf("%d ways are planted, want at least 60", len(ways))
	}
	for _, w := range ways {
		if site.Reached(w) == w.Mute {
			t.Errorf("%s: the receiver got it: %v, want %v", w.Name, w.Mute, !w.Mute)
			continue
		}
		if !trackers.Tells(r, w) {
			t.Errorf("%s: the receiver got the %s, and the scan does not say so", w.Name, w.What)
			for _, g := range site.Got() {
				if strings.Contains(g.Host, w.Name+".tracker") {
					t.Logf("  it got %.200q", g.Text)
				}
			}
		}
	}
	for _, p := range r.Pages {
		t.Logf("%s %s: %d fields, %d ms %s", p.Kind, p.URL, p.Fields, p.TookMS, p.Problem)
	}
	t.Logf("%d requests, %d findings (%d stop, %d fix), %.1f s, %d MB, sandbox %v", r.Requests, len(r.Findings), r.Count(trackers.Stop), r.Count(trackers.Fix), float64(r.TookMS)/1000, r.PeakBytes>>20, r.Sandbox)
}

func TestTheTwinWithoutLeaksHasNoFindings(t *testing.T) {
	needsBrowser(t)
	t.Parallel()
	site, err := plant.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer site.Close()
	o := trackers.Once(trackers.Options{URL: site.Clean, Pages: 12}) // the drill visits all of them twice
	if os.Getenv("QUIETROOM_SOAK") != "" {
		o = trackers.Options{URL: site.Clean, Pages: 12}
	}
	r := scan(t, o)
	if len(r.Pages) < 9 {
		t.Errorf("only %d pages were seen", len(r.Pages))
	}
	fields := 0
	for _, p := range r.Pages {
		fields += p.Fields
	}
	if fields < 40 {
		t.Errorf("only %d fields were filled", fields)
	}
	for _, f := range r.Findings {
		t.Errorf("%s %s: %s %s %+v", f.Severity, f.Kind, f.Sentence, f.URL, f.Evidence)
	}
	if len(site.Got()) > 0 {
		t.Errorf("a receiver got %+v", site.Got()[0])
	}
}
