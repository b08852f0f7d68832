package backup

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
)

type owner struct{}

func (owner) Enter(_ http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	return id.With(r.Context(), id.Actor{Person: "P"}), func() {}, nil
}
func (owner) IsOwner(context.Context) bool  { return true }
func (owner) Person(context.Context) string { return "Dana" }

// room is the room alone, in a house that has nothing else.
func room(t *testing.T) (*Backup, *web.Mux) {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), filepath.Join(dir, "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), "backup", schema); err != nil {
		t.Fatal(err)
	}
	b := New(Config{DB: db, Dir: dir, Practice: "P", Now: func() time.Time { return noon }, Secret: seal.NewKey(), Root: func() []byte { return make([]byte, len(ledger.Hash{})) },
		Name: func() string { return "Harbor Counseling" }, Restic: "sh"})
	mux := web.NewMux(web.Config{Practice: b.Name, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: b.Now})
	mux.SetSessions(owner{})
	b.mount(mux)
	return b, mux
}

// filled has three places, one of them failing and one waiting, and a proof.
func filled(t *testing.T, b *Backup) {
	t.Helper()
	err := b.DB.Update(t.Context(), func(tx *store.Tx) error {
		for i, target := range []Target{{ID: "A", Name: "USB disk in the safe", Kind: Folder, Place: "/mnt/usb/quietroom", Expires: true},
			{ID: "B", Name: "Jo’s server", Kind: SFTP, Place: "backup.example.org:22/srv/quietroom", User: "house", Outside: true, Word: &Word{Because: "it is our own", By: "Dana", At: noon}},
			{ID: "C", Name: "Bucket", Kind: S3, Place: "https://s3.example.org/bucket/quietroom", User: "key", Secret: "secret", Outside: true, Expires: true}} {
			target.Added = noon.Add(time.Duration(i) * time.Minute)
			if err := b.writeTarget(t.Context(), tx, target); err != nil {
				return err
			}
		}
		for _, q := range []string{`INSERT INTO backup_saved (target, pair, at, facts, records, wraps, sum, took, added) VALUES ('A', 'X', $1, 12, 'r', 'w', X'00', 4000, 1)`,
			`INSERT INTO backup_failed (target, since, at, said) VALUES ('B', $1, $1, 'it did not answer')`,
			`INSERT INTO backup_proofs (at, held, report) VALUES ($1, 1, '{"at":"2026-11-22T12:00:00Z","held":true,"target":"USB disk in the safe","took":240000000000,"drill":8,"checked":{"facts":129000,"patients":33000,"records":95801}}')`} {
			if _, err := tx.ExecContext(t.Context(), q, noon.Add(-26*time.Minute).UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryPageLooksRightInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	pictures := os.Getenv("QUIETROOM_PICTURES")
	for _, scene := range []string{"empty", "filled"} {
		b, mux := room(t)
		if scene == "filled" {
			filled(t, b)
		}
		url := webtest.Serve(t, mux)
		if err := chromedp.Do(tab.Context(), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{URL: url, Name: web.SessionCookie, Value: "x", Path: "/", Secure: new(true), HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict})
			return err
		})); err != nil {
			t.Fatal(err)
		}
		for name, path := range map[string]string{"backups": "/backups", "new": "/backups/new?kind=sftp", "sheet": "/backups/sheet", "plan": "/backups/plan"} {
			tab.EveryWay(url+path, scene+"-"+name, pictures)
		}
	}
}

// TestThePlanPrintsOnTwoSheets: as it is with places, a proof and an exercise.
func TestThePlanPrintsOnTwoSheets(t *testing.T) {
	tab := webtest.Browser(t)
	b, mux := room(t)
	filled(t, b)
	err := b.change(t.Context(), func(s *Settings) {
		s.Exercised, s.ExercisedBy, s.ExerciseSaid = noon, "Dana", "25 minutes; the second place on the sheet was out of date, and the new laptop had no restic yet."
	})
	if err != nil {
		t.Fatal(err)
	}
	url := webtest.Serve(t, mux)
	var pdf []byte
	if err := chromedp.Do(tab.Context(), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{URL: url, Name: web.SessionCookie, Value: "x", Path: "/", Secure: new(true), HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict})
		return err
	})); err != nil {
		t.Fatal(err)
	}
	tab.Go(url + "/backups/plan")
	if err := chromedp.Do(tab.Context(), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		r, err := chromedp.Call(ctx, page.PrintToPDF, page.PrintToPDFParams{PaperWidth: 8.5, PaperHeight: 11})
		pdf = r.Data
		return err
	})); err != nil {
		t.Fatal(err)
	}
	if sheets := len(regexp.MustCompile(`/Type\s*/Page\b[^s]`).FindAll(pdf, -1)); sheets < 1 || sheets > 2 {
		t.Errorf("the plan prints on %d sheets, want 1 or 2", sheets)
	}
	if p := os.Getenv("QUIETROOM_PICTURES"); p != "" {
		os.WriteFile(filepath.Join(p, "plan.pdf"), pdf, 0o600)
	}
}
