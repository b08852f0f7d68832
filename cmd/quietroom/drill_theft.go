package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/madeup/find"
	"quietroom/rooms/vault"
)

// theft takes the trial house while people work in it, and the practice's own
// house as it lies there, and tries to read what was taken.
func (t *trial) theft() layer.Drill {
	return layer.Drill{Name: "theft", Proves: "whoever copies everything reads no record", Run: func(ctx context.Context, s *layer.Stage) (layer.Report, error) {
		d := &thefts{trial: t, stage: s, report: layer.Report{Findings: []string{}, More: map[string]any{}}}
		if err := d.whileTheyWork(ctx); err != nil {
			return d.report, fmt.Errorf("in the trial house: %w", err)
		}
		if err := d.asItLies(ctx); err != nil {
			return d.report, fmt.Errorf("in the copy: %w", err)
		}
		d.report.Held = new(len(d.report.Findings) == 0)
		return d.report, nil
	}}
}

type thefts struct {
	*trial
	stage  *layer.Stage
	report layer.Report
}

func (d *thefts) fails(format string, a ...any) {
	d.report.Findings = append(d.report.Findings, fmt.Sprintf(format, a...))
}

// fewestCanaries is how many fresh secrets go into the trial house.
const fewestCanaries = 1000

// markedRecords are those that have to open: see vault.Mark.
const markedRecords = 10

// whileTheyWork writes, uploads, searches and asks over HTTP in the trial house,
// takes it twice meanwhile, and tries to read what was taken.
func (d *thefts) whileTheyWork(ctx context.Context) error {
	key := seal.NewKey()
	if err := writeFile(d.Trial.Dir, "drill.key", key[:]); err != nil {
		return err
	}
	marked, err := d.vault.Mark(ctx, key, markedRecords)
	if err != nil {
		return err
	}
	w := &worklist{trial: d.trial}
	if d.stage.Sabotage {
		if err := d.leaveLyingAbout(ctx, w); err != nil {
			return err
		}
	}
	var taken []string
	err = w.during(ctx, func(ctx context.Context) error {
		for _, enough := range []int{fewestCanaries / 2, fewestCanaries} {
			if err := w.wait(ctx, enough); err != nil {
				return err
			}
			to, err := d.Trial.Take(ctx)
			if err != nil {
				return err
			}
			taken = append(taken, to)
		}
		return nil
	})
	if err != nil {
		return err
	}
	keys, err := d.keysInUse(ctx)
	if err != nil {
		return err
	}
	secrets := slices.Concat(w.secrets, keys, slices.Collect(d.known()))
	f := find.New(slices.Values(secrets))
	for _, to := range taken {
		seen, _, err := lookThrough(ctx, to, f)
		if err != nil {
			return err
		}
		for _, s := range seen {
			d.fails("trial house: %s", s)
		}
	}
	last := taken[len(taken)-1]
	d.report.More["trial"] = map[string]any{"canaries": len(w.secrets), "secrets_looked_for": f.Len(), "taken": len(taken), "requests": w.asked, "signed_in_requests": w.inside}
	return errors.Join(d.robMarked(ctx, last, marked), d.plant(ctx, last, f, w.secrets))
}

// robMarked tries all keys in the taken trial house: the key that lies there has
// to open the marked records, and nothing else.
func (d *thefts) robMarked(ctx context.Context, taken string, marked id.Patient) error {
	r, err := rob(ctx, taken, nil)
	if err != nil {
		return err
	}
	if n := r.records.Opened[marked]; n != markedRecords {
		d.fails("trial house: the key that lies on the server opened %d of %d marked records: the attack itself does not work", n, markedRecords)
	}
	if n := r.opened(marked); n > 0 {
		d.report.Opened += n
		d.fails("trial house: %d sealed things that were not marked opened with keys that lie in the copy", n)
	}
	more := d.report.More["trial"].(map[string]any)
	more["records"], more["marked_opened"], more["keys_tried"] = r.records.Records, r.records.Opened[marked], len(r.found.at)
	return nil
}

// plant puts one canary in the open into the taken copy, in each spelling: each
// has to be found, else the search proves nothing.
func (d *thefts) plant(ctx context.Context, taken string, f *find.Finder, secrets []string) error {
	canary := secrets[0]
	var wide, packed bytes.Buffer
	for _, u := range utf16.Encode([]rune(canary)) {
		wide.Write([]byte{byte(u), byte(u >> 8)})
	}
	z := gzip.NewWriter(&packed)
	fmt.Fprintf(z, "a line with %s in it", canary)
	z.Close()
	planted := map[string][]byte{
		"raw": []byte("x " + canary + " y"), "utf16": wide.Bytes(), "gzip": packed.Bytes(),
		"base64": []byte(base64.StdEncoding.EncodeToString([]byte("name=" + canary + ";"))), "hex": []byte(hex.EncodeToString([]byte(canary))),
	}
	dir := filepath.Join(taken, "planted")
	for spelling, text := range planted {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, spelling), text, 0o600); err != nil {
			return err
		}
	}
	seen, _, err := lookThrough(ctx, dir, f)
	if err != nil {
		return err
	}
	for _, s := range seen {
		delete(planted, s.file)
	}
	for _, spelling := range slices.Sorted(maps.Keys(planted)) {
		d.fails("a canary that was planted as %s was not found: the search itself does not work", spelling)
	}
	return os.RemoveAll(dir)
}

// leaveLyingAbout is the sabotage: the server writes a team key into a file of
// its directory, and a note's words into its log.
func (d *thefts) leaveLyingAbout(ctx context.Context, w *worklist) error {
	session, done, err := d.Trial.Unlock(ctx, d.Trial.Codes["owner-1"])
	if err != nil {
		return err
	}
	defer done()
	team, err := d.team(session, "directory")
	if err != nil {
		return err
	}
	key, err := d.identity.TeamKey(session, team.ID, team.Epoch)
	if err != nil {
		return err
	}
	if err := writeFile(d.Trial.Dir, "directory.txt", []byte("directory="+hex.EncodeToString(key[:])+"\n")); err != nil {
		return err
	}
	d.log.InfoContext(ctx, "note written", "text", w.secret())
	return nil
}

func (t *trial) team(session context.Context, kind string) (layer.Team, error) {
	teams, err := t.identity.Teams(session)
	if err != nil {
		return layer.Team{}, err
	}
	for _, x := range teams {
		if x.Kind == kind {
			return x, nil
		}
	}
	return layer.Team{}, fmt.Errorf("the trial house has no %s team", kind)
}

// keysInUse are the trial house's own secrets: its people's codes and their
// parts, and every team key. None of them may lie in what was taken, in any spelling.
func (d *thefts) keysInUse(ctx context.Context) (secrets []string, err error) {
	for _, text := range d.Trial.Codes {
		code, err := seal.ParseCode(seal.Personal, text)
		if err != nil {
			return nil, err
		}
		kek, auth := code.KEK(), code.Auth()
		secrets = append(secrets, text, strings.ReplaceAll(text, "-", ""), string(kek[:]), string(auth[:]))
	}
	session, done, err := d.Trial.Unlock(ctx, d.Trial.Codes["owner-1"])
	if err != nil {
		return nil, err
	}
	defer done()
	teams, err := d.identity.Teams(session)
	for _, team := range teams {
		for epoch := range team.Epoch {
			if k, err := d.identity.TeamKey(session, team.ID, epoch+1); err == nil {
				secrets = append(secrets, string(k[:]))
			}
		}
	}
	return secrets, err
}

// worklist is people's work in the trial house, with a fresh secret in every
// field. They go on while the house is taken.
type worklist struct {
	*trial
	mu            sync.Mutex
	secrets       []string
	asked, inside int
}

// secret makes a canary: 26 letters, 130 random bits.
func (w *worklist) secret() string { return w.note(rand.Text()) }

// number makes a telephone number of 15 digits (E.164 has no more), so that it
// does not appear by chance.
func (w *worklist) number() string {
	n, _ := rand.Int(rand.Reader, big.NewInt(900_000_000_000_000))
	return w.note(fmt.Sprint(100_000_000_000_000 + n.Int64()))
}

func (w *worklist) note(s string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets = append(w.secrets, s)
	return s
}

func (w *worklist) made() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.secrets)
}

// wait lets people work until there are so many secrets.
func (w *worklist) wait(ctx context.Context, enough int) error {
	for w.made() < enough {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		sleep(ctx, 2*time.Millisecond)
	}
	return nil
}

// during does something while people work.
func (w *worklist) during(ctx context.Context, act func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	for _, work := range []func(context.Context) error{w.write, w.write, w.ask} {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := work(ctx); err != nil && ctx.Err() == nil {
					stop(err)
				}
			}
		})
	}
	err := act(ctx)
	stop(nil)
	wg.Wait()
	return err
}

// write admits patients, writes notes, uploads files and searches, in one session.
func (w *worklist) write(ctx context.Context) error {
	session, done, err := w.Trial.Unlock(ctx, w.Trial.Codes["owner-1"])
	if err != nil {
		return err
	}
	defer done()
	care, err := w.team(session, "care")
	if err != nil {
		return err
	}
	for i := 0; i < 25 && ctx.Err() == nil; i++ {
		if err := w.one(session, care.ID, i%5 == 0); err != nil {
			return err
		}
	}
	return nil
}

func (w *worklist) one(ctx context.Context, care id.Team, upload bool) error {
	b, err := w.vault.Begin(ctx)
	if err != nil {
		return err
	}
	defer b.Drop()
	family := w.secret()
	p, err := b.Admit(ctx, layer.Card{Family: family, Given: w.secret(), Preferred: w.secret(), Phones: []string{w.number()}, Mails: []string{w.secret() + "@example.org"},
		Address: w.secret(), Safe: layer.SafeContact{Words: w.secret()}, Care: []id.Team{care}, Emergency: []layer.Contact{{Name: w.secret(), Phone: w.number()}}})
	if err != nil {
		return err
	}
	c, err := b.In(ctx, p, vault.Chart)
	if err != nil {
		return err
	}
	if _, err := b.Put(ctx, c, layer.Draft{Head: []byte(w.secret()), Body: []byte("Today " + w.secret() + " said " + w.secret())}); err != nil {
		return err
	}
	if err := b.Tag(ctx, p, w.secret()); err != nil {
		return err
	}
	if upload {
		if _, err := b.PutStream(ctx, c, layer.Draft{Head: []byte(w.secret())}, w.file()); err != nil {
			return err
		}
	}
	if err := b.Commit(ctx); err != nil {
		return err
	}
	for _, text := range []string{family[3:15], w.secret()} {
		if _, err := w.vault.Search(ctx, text, 10); err != nil {
			return err
		}
	}
	return nil
}

// file is an upload of more than one chunk, with one secret again and again.
func (w *worklist) file() io.Reader {
	line := []byte(w.secret() + " " + strings.Repeat("and so on ", 100) + "\n")
	return io.LimitReader(bytes.NewReader(bytes.Repeat(line, 700)), 700_000)
}

// ask sends secrets over HTTP wherever a browser or a stranger could put one:
// address, query, form, headers and bodies; also as somebody who is signed in.
func (w *worklist) ask(ctx context.Context) error {
	client := &http.Client{Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	link := w.identity.DemoLink("owner-1", w.codeOf("owner-1"))
	cookies, err := w.signIn(ctx, client, link)
	if err != nil {
		return err
	}
	token, err := w.formToken(ctx, client, cookies)
	if err != nil || token == "" {
		return err
	}
	for range 50 {
		if err := w.search(ctx, client, cookies, token); err != nil {
			return err
		}
		for _, c := range [][]*http.Cookie{nil, cookies} {
			for _, path := range []string{"/", "/patients", "/search", "/unlock", "/nowhere/" + w.secret()} {
				if ctx.Err() != nil {
					return nil
				}
				if err := w.request(ctx, client, path, c); err != nil {
					return err
				}
			}
		}
		sleep(ctx, 5*time.Millisecond)
	}
	return nil
}

func (w *worklist) signIn(ctx context.Context, client *http.Client, link string) ([]*http.Cookie, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.Trial.URL+link, strings.NewReader(""))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		if c.Name == web.SessionCookie || c.Name == web.ProofCookie {
			w.note(c.Value)
		}
	}
	return res.Cookies(), nil
}

// formToken reads the list of patients as somebody who is signed in: an attack
// that does not get so far would prove nothing. Empty when the drill is over.
func (w *worklist) formToken(ctx context.Context, client *http.Client, cookies []*http.Cookie) (string, error) {
	status, page, err := w.send(ctx, client, http.MethodGet, "/patients", nil, cookies, "")
	if err != nil || ctx.Err() != nil {
		return "", err
	}
	_, after, found := strings.Cut(page, `<meta name="form-token" content="`)
	token, _, closed := strings.Cut(after, `"`)
	if status != http.StatusOK || !found || !closed {
		return "", fmt.Errorf("the trial house lets nobody in: status %d", status)
	}
	return token, nil
}

// search looks for a secret as a browser does: posted, and never in an address.
func (w *worklist) search(ctx context.Context, client *http.Client, cookies []*http.Cookie, token string) error {
	status, _, err := w.send(ctx, client, http.MethodPost, "/patients/find", url.Values{"q": {w.secret()}}, cookies, token)
	if err != nil || ctx.Err() != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("a search in the trial house was answered with status %d", status)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	w.inside++
	return nil
}

// send sends one request of somebody who is signed in. Where the drill is over, it says nothing.
func (w *worklist) send(ctx context.Context, client *http.Client, method, path string, form url.Values, cookies []*http.Cookie, token string) (status int, page string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, w.Trial.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Form-Token", token)
	for _, c := range cookies {
		req.AddCookie(c)
	}
	res, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return 0, "", nil
		}
		return 0, "", fmt.Errorf("ask the trial house: %w", errors.Unwrap(err))
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func (w *worklist) request(ctx context.Context, client *http.Client, path string, cookies []*http.Cookie) error {
	method, body := http.MethodGet, io.Reader(nil)
	if w.made()%3 == 0 {
		method, body = http.MethodPost, strings.NewReader(url.Values{"name": {w.secret()}, "q": {w.secret()}, "text": {w.secret()}}.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, w.Trial.URL+path+"?q="+w.secret(), body)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", w.secret())
	req.Header.Set("Referer", w.Trial.URL+"/"+w.secret())
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range cookies {
		req.AddCookie(c)
	}
	res, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("ask the trial house: %w", errors.Unwrap(err))
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	return nil
}

// asItLies attacks the copy of the practice's own house.
func (d *thefts) asItLies(ctx context.Context) error {
	if d.stage.Known != nil {
		f := find.New(d.stage.Known)
		seen, size, err := lookThrough(ctx, d.stage.Copy, f)
		if err != nil {
			return err
		}
		for _, s := range seen {
			d.fails("copy: %s", s)
		}
		d.report.More["secrets_looked_for"], d.report.More["bytes_looked_at"] = f.Len(), size
		runtime.GC() // the finder is large, and done with
	}
	r, err := rob(ctx, d.stage.Copy, d.stage.Step)
	if err != nil {
		return err
	}
	d.report.Tried = r.records.Records
	d.tell(r)
	if n := r.opened(""); n > 0 {
		d.report.Opened += n
		d.fails("copy: %d sealed things opened with keys that lie in the copy", n)
	}
	if r.records.Records == 0 && d.count(ctx) > 0 {
		d.fails("copy: no record was attacked")
	}
	return nil
}

func (d *thefts) count(ctx context.Context) int { n, _ := d.vault.Count(ctx); return n }

func (d *thefts) tell(r robbery) {
	d.report.More["keys_tried"] = map[string]int{"in_files_and_environment": len(r.found.near), "in_program_and_rows": len(r.found.far)}
	d.report.More["boxes_attacked"] = map[string]int{"records": r.records.Records, "patient_keys": r.records.Wraps, "names_and_searches": r.records.Boxes, "streams": r.records.Streams, "seeds_team_keys_pins": r.doors.Boxes}
	d.report.More["tries"] = r.doors.Tries + r.records.Tries
	d.report.More["how"] = fmt.Sprintf("Every key was tried on every seed, team key, pin, patient key, directory box and record head, in the forms: itself, passkey output, code part, seed, kit, pair, team key of the directory. Keys from files and environment also on every record body, stream and inbox wrap. Tables above %d rows were read for keys in %d rows.", smallTable, someRows)
}
