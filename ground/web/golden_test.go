package web_test

import (
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"quietroom/ground/web"
)

var update = flag.Bool("update", false, "write the golden pages anew")

// moving are the parts of a page that change with every build or every request.
var moving = regexp.MustCompile(`/static/[0-9a-f]{16}/|<code>[A-Z2-7]{8}</code>`)

func TestPagesAreAsTheyWere(t *testing.T) {
	for _, c := range []struct{ name, path, cookie string }{
		{"parts", "/parts", ownerCookie},
		{"stranger", "/open", ""},
		{"cover", "/unlock", ""},
		{"step", "/step", ""},
		{"refusal", "/refused", clinicianCookie},
		{"error", "/error", clinicianCookie},
		{"unknown-error", "/broken/x", ""},
		{"not-found", "/nowhere", ""},
		{"owners-only", "/owners", clinicianCookie},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := ask{method: "GET", path: c.path, cookie: c.cookie}.of(newRoom(t, true)).Body.String()
			golden(t, c.name, moving.ReplaceAllStringFunc(page, func(s string) string {
				if strings.HasPrefix(s, "<code>") {
					return "<code>REFERENCE</code>"
				}
				return "/static/HASH/"
			}))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name+".html")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			t.Fatalf("line %d of the page differs from %s (look, then go test -update):\n got %s\nwant %s", i+1, file, g[i], strings.Join(w[min(i, len(w)):min(i+1, len(w))], ""))
		}
	}
	t.Fatalf("the page ends earlier than %s", file)
}

func TestAPageWithoutAMuxCanBeShownToo(t *testing.T) {
	w := httptest.NewRecorder()
	pages := web.MustPages(os.DirFS("testdata/room"))
	if err := pages.Show(w, httptest.NewRequest("GET", "/", nil), "step", web.View{Title: "Alone"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.Body.String(), "falls into the sea") {
		t.Error("the page is not there")
	}
}

func BenchmarkAPatientListOfFiftyRows(b *testing.B) {
	m := newRoom(b, false)
	pages := web.MustPages(os.DirFS("testdata/room"))
	page := searchPage{}
	for range 50 {
		page.Names = append(page.Names, "Aldridge, Sam")
	}
	m.Handle("GET /fifty", show(pages, "search", page), web.Signed)
	for b.Loop() {
		if got := (ask{method: "GET", path: "/fifty", cookie: ownerCookie}).of(m); got.Code != 200 {
			b.Fatal(got.Code)
		}
	}
}
