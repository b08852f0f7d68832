package chart_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/layer"
	"quietroom/rooms/chart"
	"quietroom/rooms/vault"
)

func contains(t *testing.T, page string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, inside(page))
		}
	}
}

func holds(t *testing.T, text string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
}

func lacks(t *testing.T, page string, none ...string) {
	t.Helper()
	for _, not := range none {
		if strings.Contains(page, not) {
			t.Errorf("the page says %q:\n%s", not, inside(page))
		}
	}
}

func TestTheListShowsPatientsInOrderOfNamesAndASearchMarksWhatFits(t *testing.T) {
	h := newHouse(t)
	h.sam()
	for i := range 60 {
		h.admit(layer.Card{Family: fmt.Sprintf("Other%02d", i), Given: "Kim", Born: "1980-01-02"})
	}
	list := h.want(200, "desk", "GET", "/patients", nil).Body.String()
	contains(t, list, "The first 50 of 61 patients, in order of names", "Aldridge, Samantha", "called Sam", "Mar 4, 1991", "Text only; a partner reads the post.", "Dr. Rivera", "Not asked yet")
	if n := strings.Count(list, "<tr>"); n != 51 {
		t.Errorf("the list has %d rows, want 50 and a head", n-1)
	}
	found := h.want(200, "desk", "POST", "/patients/find", url.Values{"q": {"ÁLD sam"}}).Body.String()
	contains(t, found, "<mark>Ald</mark>ridge, <mark>Sam</mark>antha", "1 of 61 patients, in less than a millisecond")
	none := h.want(200, "desk", "POST", "/patients/find", url.Values{"q": {"zzz"}}).Body.String()
	contains(t, none, "Nobody fits “zzz”", "0 of 61 patients")
}

func TestAListAsksForTeamNamesOnce(t *testing.T) {
	h := newHouse(t)
	for i := range 50 {
		h.admit(layer.Card{Family: fmt.Sprint(i), Care: []id.Team{h.rivera, h.bello}[i%2 : i%2+1]})
	}
	h.want(200, "desk", "GET", "/patients", nil)
	before := h.staff.asked
	h.want(200, "desk", "GET", "/patients", nil)
	if asked := h.staff.asked - before; asked > 1 { // the vault's own
		t.Errorf("a list asked for the teams %d times", asked)
	}
}

func TestAPatientIsAdmittedByHand(t *testing.T) {
	h := newHouse(t)
	form := url.Values{
		"given": {" Sam "}, "family": {"Aldridge"}, "born": {"1991-03-04"}, "phones": {"503 555 0142\r\n\r\n503 555 0199"}, "safe": {"Text only"},
		"way-text": {"yes"}, "way-post": {"no"}, "contact-name": {"Noor", ""}, "contact-bond": {"partner", ""}, "contact-phone": {"1", ""}, "care": {string(h.rivera)},
	}
	at := h.want(303, "desk", "POST", "/patients/new", form).Header().Get("Location")
	page := h.want(200, "rivera", "GET", at, nil).Body.String()
	contains(t, page, "<h1>Sam Aldridge</h1>", "35 years old. Born March 4, 1991. With Dr. Rivera since November 2026.", "503 555 0199", "Text only", "Noor, partner, 1", "Said on November 23, 2026", "No note yet.")

	for why, c := range map[string]struct{ field, value, says string }{
		"no name":            {"family", "", ""},
		"a birth date":       {"born", "yesterday", "The birth date is no date."},
		"in the future":      {"born", "2031-01-01", "lies in the future"},
		"nobody who cares":   {"care", "", "Choose who cares"},
		"a team that is not": {"care", "AAAAAAAAAAAAAAAAAAAAAAAAAA", "Choose who cares"},
	} {
		t.Run(why, func(t *testing.T) {
			bad := url.Values{}
			for k, v := range form {
				bad[k] = v
			}
			bad.Set(c.field, c.value)
			if c.says == "" {
				bad.Set("given", "")
				c.says = "A name is missing"
			}
			contains(t, h.want(422, "desk", "POST", "/patients/new", bad).Body.String(), c.says, "503 555 0142") // and what was typed is still there
		})
	}
}

func TestAPatientWhoIsHereAlreadyIsPointedOutBeforeAnotherIsMade(t *testing.T) {
	h := newHouse(t)
	p := h.admit(layer.Card{Family: "Aldridge", Given: "Sám", Born: "1991-03-04"})
	form := url.Values{"given": {"Sam"}, "family": {"aldridge"}, "born": {"1991-03-04"}, "care": {string(h.rivera)}}
	page := h.want(409, "desk", "POST", "/patients/new", form).Body.String()
	contains(t, page, "Sam aldridge, born March 4, 1991, is here already.", "/patients/"+string(p), "This is somebody else: admit")
	if n, err := h.vault.Count(t.Context()); n != 1 || err != nil {
		t.Fatalf("there are %d patients before anybody said yes, %v", n, err)
	}
	form.Set("another", "yes")
	h.want(303, "desk", "POST", "/patients/new", form)
	form.Del("another")
	form.Set("born", "1992-03-04")
	h.want(303, "desk", "POST", "/patients/new", form)
	if n, err := h.vault.Count(t.Context()); n != 3 || err != nil {
		t.Fatalf("there are %d patients, want 3, %v", n, err)
	}
}

func TestTheVaultsRefusalOfAFourthPatientIsAPage(t *testing.T) {
	h := newHouse(t, func(_ *chart.Config, v *vault.Config) { v.Recovery = noKit{} })
	for _, name := range []string{"A", "B", "C"} {
		h.admit(layer.Card{Family: name})
	}
	form := url.Values{"family": {"D"}, "care": {string(h.rivera)}}
	contains(t, h.want(403, "desk", "POST", "/patients/new", form).Body.String(), "A fourth patient waits until nobody can be locked out", "4 minutes")
}

type noKit struct{}

func (noKit) Ready(context.Context) (int, bool, error) { return 1, false, nil }

func TestAPatientWhoDoesNotExistAndOneOutOfReachReadAlike(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	there := h.want(404, "stranger", "GET", page(p), nil).Body.String()
	for _, path := range []string{page(id.New[id.Patient]()), "/patients/x", "/patients/" + strings.ToLower(string(p))} {
		if got := h.want(404, "stranger", "GET", path, nil).Body.String(); got != there {
			t.Errorf("%s reads otherwise than a patient out of reach:\n%s\n%s", path, got, there)
		}
	}
	for _, more := range []string{"/edit", "/all", "/looked", "/notes/new", "/notes/" + string(id.New[id.Record]()), "/files/" + string(id.New[id.Record]())} {
		h.want(404, "stranger", "GET", page(p, more), nil)
	}
	h.want(404, "rivera", "GET", page(p, "/notes/", string(id.New[id.Record]())), nil)
}

func TestNobodyElseBeginsAnEmptyChart(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	sheet := h.want(200, "rivera", "GET", page(p, "/notes/new"), nil).Body.String()
	for _, who := range []string{"desk", "bello"} {
		h.want(404, who, "GET", page(p, "/notes/new"), nil)
		for _, act := range []string{"keep", "sign"} {
			h.want(404, who, "POST", page(p, "/notes"), h.filled(sheet, act, map[string]string{"data": "not theirs to write"}))
		}
		if w := h.upload(who, p, "a.txt", strings.NewReader("not theirs to add")); w.Code != 404 {
			t.Errorf("%s adds a file and gets %d", who, w.Code)
		}
	}
	got := h.want(200, "rivera", "GET", page(p, "/all"), nil).Body.String()
	lacks(t, got, "Progress note", "a.txt")
	h.want(303, "rivera", "POST", page(p, "/notes"), h.filled(sheet, "sign", map[string]string{"data": "mine"}))
}

func TestTheFrontDeskSeesTheCardAndAKindSentence(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	h.write("rivera", p, "dap", "sign", map[string]string{"data": "said in the room"})
	got := h.want(200, "desk", "GET", page(p), nil).Body.String()
	contains(t, got, "Sam Aldridge", "(503) 555-0142", "Text only; a partner reads the post.", "Notes and files are open to Dr. Rivera only.", "wrote in the chart")
	lacks(t, got, "said in the room", "Progress note", "Write today’s note")
	h.want(404, "desk", "GET", page(p, "/notes/new"), nil)
	for e, err := range h.ledger.Facts(t.Context(), ledger.Query{Subject: string(p), Kinds: []string{"vault.refused"}}) {
		h.must(err)
		if e.Part == layer.PartIdentity {
			t.Error("looking up a phone number left a refused attempt")
		}
	}
}

func TestAClosedGateLeavesTheCardReadable(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	h.write("rivera", p, "dap", "sign", map[string]string{"data": "said in the room"})
	h.gate.closed[layer.PartChart] = &layer.Refusal{Why: "This computer’s firewall is off", Fix: "Turn it on, then look again.", Minutes: 1, Override: "/override"}
	got := h.want(200, "rivera", "GET", page(p), nil).Body.String()
	contains(t, got, "(503) 555-0142", "This computer’s firewall is off. Turn it on, then look again. It takes 1 minute.", "Open for 60 minutes")
	lacks(t, got, "Progress note")
	contains(t, h.want(403, "rivera", "GET", page(p, "/notes/new"), nil).Body.String(), "This computer’s firewall is off")
}

func TestTwoWhoEditACardBothKeepTheirWords(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	form := h.want(200, "rivera", "GET", page(p, "/edit"), nil).Body.String()
	version := field(t, form, "version")
	fill := func(address string) url.Values {
		return url.Values{"version": {version}, "given": {"Samantha"}, "family": {"Aldridge"}, "preferred": {"Sam"}, "born": {"1991-03-04"}, "address": {address}, "phones": {"1"}}
	}
	h.want(303, "desk", "POST", page(p, "/edit"), fill("1 First Street"))
	conflict := h.want(409, "rivera", "POST", page(p, "/edit"), fill("2 Second Street")).Body.String()
	contains(t, conflict, "Somebody else changed this card", "1 First Street", "2 Second Street")
	again := fill("3 Third Street")
	again.Set("version", field(t, conflict, "version"))
	h.want(303, "rivera", "POST", page(p, "/edit"), again)
	got := h.want(200, "rivera", "GET", page(p), nil).Body.String()
	contains(t, got, "3 Third Street", "4471", "With Dr. Rivera since May 2024") // what the form does not have is left alone
}

func TestASignedNoteNeverChanges(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	rec := h.write("rivera", p, "dap", "keep", map[string]string{"data": "first words"})
	sheet := h.want(200, "rivera", "GET", page(p, "/notes/", rec), nil).Body.String()
	contains(t, sheet, "first words", "Keep as a draft", ">just now</time></output>")
	contains(t, h.want(200, "rivera", "GET", page(p), nil).Body.String(), "Draft of Tomás Rivera", "Not signed")
	h.want(303, "rivera", "POST", page(p, "/notes"), h.filled(sheet, "sign", map[string]string{"data": "last words"}))
	signed := h.want(200, "rivera", "GET", page(p, "/notes/", rec), nil).Body.String()
	contains(t, signed, "last words", "Signed by Tomás Rivera, <time", "today 3:02\u00a0pm", "Write an addendum")

	late := h.filled(sheet, "keep", map[string]string{"data": "too late"})
	for _, version := range []string{"0", "1", "2", "3"} {
		late.Set("version", version)
		contains(t, h.want(409, "rivera", "POST", page(p, "/notes"), late).Body.String(), "This note was signed while you wrote.", "last words", "too late")
	}
	if again := h.want(200, "rivera", "GET", page(p, "/notes/", rec), nil).Body.String(); again != signed {
		t.Errorf("a signed note changed:\n%s", again)
	}
}

func TestAnAddendumStandsUnderItsNote(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	rec := h.write("rivera", p, "free", "sign", map[string]string{"note": "what was said"})
	sheet := h.want(200, "rivera", "GET", page(p, "/notes/", rec, "/add"), nil).Body.String()
	h.want(303, "rivera", "POST", page(p, "/notes"), h.filled(sheet, "sign", map[string]string{"note": "put right"}))
	contains(t, h.want(200, "rivera", "GET", page(p, "/notes/", rec), nil).Body.String(), "what was said", "Addendum", "put right")
	contains(t, h.want(200, "rivera", "GET", page(p), nil).Body.String(), "1 addendum", "1 note</small>")
	draft := h.write("rivera", p, "free", "keep", map[string]string{"note": "not signed"})
	h.want(404, "rivera", "GET", page(p, "/notes/", draft, "/add"), nil)
}

func TestTwoWhoWriteOneDraftBothKeepTheirWords(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	rec := h.write("rivera", p, "soap", "keep", map[string]string{"plan": "begun"})
	sheet := h.want(200, "rivera", "GET", page(p, "/notes/", rec), nil).Body.String()
	h.want(303, "rivera", "POST", page(p, "/notes"), h.filled(sheet, "keep", map[string]string{"plan": "theirs"}))
	conflict := h.want(409, "rivera", "POST", page(p, "/notes"), h.filled(sheet, "keep", map[string]string{"plan": "yours"})).Body.String()
	contains(t, conflict, "Somebody else wrote in this draft", "<blockquote>theirs</blockquote>", "yours</textarea>")
	h.want(303, "rivera", "POST", page(p, "/notes"), h.filled(conflict, "keep", map[string]string{"plan": "theirs and yours"}))
	contains(t, h.want(200, "rivera", "GET", page(p, "/notes/", rec), nil).Body.String(), "theirs and yours")
}

func TestANoteInThePlaceOfAnotherRecordIsAnsweredCalmly(t *testing.T) {
	h := newHouse(t)
	p, other := h.sam(), h.admit(layer.Card{Family: "Baldwin", Given: "Thea", Care: []id.Team{h.bello}})
	theirs := h.write("bello", other, "dap", "sign", map[string]string{"data": "first"})
	sheet := h.filled(h.want(200, "rivera", "GET", page(p, "/notes/new"), nil).Body.String(), "keep", map[string]string{"data": "second"})
	for _, place := range []string{theirs, string(other), string(p)} {
		sheet.Set("record", place)
		contains(t, h.want(409, "rivera", "POST", page(p, "/notes"), sheet).Body.String(), "so nothing of yours was", "copy your words")
	}
	contains(t, h.want(200, "bello", "GET", page(other, "/notes/", theirs), nil).Body.String(), "first")
	if h.log.String() != "" {
		t.Errorf("logged %s", h.log.String())
	}
}

func TestADraftIsKeptByItselfAndALostAnswerIsNoConflict(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	sheet := h.want(200, "rivera", "GET", page(p, "/notes/new"), nil).Body.String()
	keep := func(status int, version, text string) (k struct{ Version uint64 }) {
		t.Helper()
		form := h.filled(sheet, "keep", map[string]string{"data": text})
		form.Set("version", version)
		r := h.request("rivera", "POST", page(p, "/notes"), form)
		r.Header.Set("Accept", "application/json")
		w := h.send(r)
		if w.Code != status {
			t.Fatalf("answered %d, want %d: %s", w.Code, status, w.Body)
		}
		h.must(json.Unmarshal(w.Body.Bytes(), &k))
		return k
	}
	if k := keep(200, "0", ""); k.Version != 0 {
		t.Fatalf("an empty sheet was kept as version %d", k.Version)
	}
	if k := keep(200, "0", "one"); k.Version != 1 {
		t.Fatalf("the first is version %d", k.Version)
	}
	if k := keep(200, "0", "one"); k.Version != 1 {
		t.Fatalf("sent once more it is version %d", k.Version)
	}
	if k := keep(200, "1", "two"); k.Version != 2 {
		t.Fatalf("the second is version %d", k.Version)
	}
	keep(409, "1", "three")
}

func TestAnEmptySheetIsNotKeptAndNotSigned(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	sheet := h.want(200, "rivera", "GET", page(p, "/notes/new"), nil).Body.String()
	h.want(303, "rivera", "POST", page(p, "/notes"), h.filled(sheet, "keep", nil))
	contains(t, h.want(422, "rivera", "POST", page(p, "/notes"), h.filled(sheet, "sign", map[string]string{"data": " \r\n"})).Body.String(), "nothing on the sheet to sign")
	contains(t, h.want(200, "rivera", "GET", page(p), nil).Body.String(), "No note yet.")
	for _, name := range []string{"record", "version", "form", "of"} {
		torn := h.filled(sheet, "keep", map[string]string{"data": "x"})
		torn.Set(name, "?")
		h.want(400, "rivera", "POST", page(p, "/notes"), torn)
	}
}

func TestANoteOfAnotherDayStandsOnThatDay(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	sheet := h.want(200, "rivera", "GET", page(p, "/notes/new"), nil).Body.String()
	form := h.filled(sheet, "sign", map[string]string{"data": "x"})
	form.Set("on", "2026-11-16")
	h.want(303, "rivera", "POST", page(p, "/notes"), form)
	contains(t, h.want(200, "rivera", "GET", page(p), nil).Body.String(), `<li><time datetime="2026-11-16T15:02:00Z"`)
}

func TestAFileComesBackAsItWentIn(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	for _, c := range []struct{ name, content, kind, disposition string }{
		{"Intake, signed.pdf", "%PDF-1.7\nwhat was agreed", "application/pdf", `attachment; filename="Intake, signed.pdf"`},
		{`C:\Users\ana\Brief an Frau Özdemir.txt`, "words", "application/octet-stream", `attachment; filename*=utf-8''Brief%20an%20Frau%20%C3%96zdemir.txt`},
		{"page.html", "<!doctype html><script>alert(1)</script>", "application/octet-stream", `attachment; filename=page.html`},
		{"picture.svg", `<svg xmlns="http://www.w3.org/2000/svg"></svg>`, "application/octet-stream", `attachment; filename=picture.svg`},
		{"empty", "", "application/octet-stream", "attachment; filename=empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if w := h.upload("rivera", p, c.name, strings.NewReader(c.content)); w.Code != 303 {
				t.Fatalf("answered %d: %s", w.Code, w.Body)
			}
			h.now = h.now.Add(time.Second)
			list := h.want(200, "rivera", "GET", page(p), nil).Body.String()
			contains(t, list, "Not looked through")
			lacks(t, list, "Clean")
			w := h.want(200, "rivera", "GET", fileLink.FindString(list), nil)
			if w.Body.String() != c.content {
				t.Errorf("got %q back", w.Body)
			}
			for name, want := range map[string]string{"Content-Type": c.kind, "Content-Disposition": c.disposition, "Content-Length": fmt.Sprint(len(c.content)),
				"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'", "Cache-Control": "no-store"} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			h.want(404, "bello", "GET", fileLink.FindString(list), nil)
		})
	}
}

func TestAnUploadWithoutAFileSaysSo(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	if w := h.upload("rivera", p, "", strings.NewReader("")); w.Code != 422 || !strings.Contains(w.Body.String(), "No file was chosen") {
		t.Errorf("answered %d: %s", w.Code, w.Body)
	}
}

func TestATornUploadLeavesNothing(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	w := h.upload("rivera", p, "torn.bin", io.MultiReader(strings.NewReader(strings.Repeat("x", 3<<20)), broken{}))
	if w.Code != 400 || !strings.Contains(w.Body.String(), "torn") {
		t.Errorf("answered %d: %s", w.Code, w.Body)
	}
	contains(t, h.want(200, "rivera", "GET", page(p), nil).Body.String(), "No file yet.")
	if left := filesUnder(t, filepath.Join(h.dir, "blobs")); len(left) > 0 {
		t.Errorf("a torn upload left %v", left)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func filesUnder(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// filler is a long file that nobody has to hold.
type filler struct {
	left  int64
	every func()
}

func (f *filler) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), f.left)
	for i := range p[:n] {
		p[i] = byte(f.left-int64(i)) | 1
	}
	f.left -= n
	if f.every != nil {
		f.every()
	}
	return int(n), nil
}

func TestALargeUploadIsSealedAsItStreams(t *testing.T) {
	const large = 64 << 20
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	h := newHouse(t)
	p := h.sam()
	var most uint64
	reads := 0
	watch := func() {
		if reads++; reads%400 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			if left := filesUnder(t, temp); len(left) > 0 {
				t.Errorf("a temporary file: %v", left)
			}
		}
	}
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if w := h.upload("rivera", p, "large.bin", &filler{large, watch}); w.Code != 303 {
		t.Fatalf("answered %d: %s", w.Code, w.Body)
	}
	if grown := int64(most) - int64(before.HeapAlloc); most == 0 || grown > 16<<20 {
		t.Errorf("memory grew by %d MiB while 64 MiB went through (%d reads)", grown>>20, reads)
	}
	list := h.want(200, "rivera", "GET", page(p), nil).Body.String()
	contains(t, list, "67.1 MB")
	got, want := sha256.New(), sha256.New()
	if _, err := io.Copy(want, &filler{left: large}); err != nil {
		t.Fatal(err)
	}
	w := &hashing{ResponseRecorder: httptest.NewRecorder(), to: got}
	h.ServeHTTP(w, h.request("rivera", "GET", fileLink.FindString(list), nil))
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Error("the file is another one when it comes back")
	}
	t.Logf("memory grew by %d KiB", (int64(most)-int64(before.HeapAlloc))>>10)
}

type hashing struct {
	*httptest.ResponseRecorder
	to io.Writer
}

func (h *hashing) Write(p []byte) (int, error) { return h.to.Write(p) }

func TestWhoLookedStandsInPlainWords(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	h.write("rivera", p, "dap", "sign", map[string]string{"data": "x"})
	h.now = h.now.Add(3 * time.Hour)
	h.want(200, "desk", "GET", page(p), nil)
	h.want(404, "desk", "GET", page(p, "/notes/new"), nil)
	h.now = h.now.Add(time.Hour)
	h.upload("rivera", p, "a.pdf", strings.NewReader("%PDF-1.4"))
	got := h.want(200, "rivera", "GET", page(p), nil).Body.String()
	contains(t, got, "admitted the patient", "wrote a note", "Opened notes, files, name and contacts; added a file", "<td>Opened name and contacts</td>", "Wanted notes and files, and was refused", "June Park", "Tomás Rivera")
	h.now = h.now.AddDate(0, 0, 40)
	lately := h.want(200, "rivera", "GET", page(p), nil).Body.String()
	lacks(t, lately, "June Park")
	contains(t, h.want(200, "rivera", "GET", page(p, "/looked"), nil).Body.String(), "June Park", "admitted the patient")
}

func TestALongImportIsNotCountedByHalves(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	h.now = h.now.Add(2 * time.Hour)
	for range 10 {
		h.records(p) // 12 each
	}
	contains(t, h.want(200, "rivera", "GET", page(p), nil).Body.String(), "The latest lines of the last 30 days", "rought in records</td>")
	contains(t, h.want(200, "rivera", "GET", page(p, "/looked"), nil).Body.String(), "brought in records (120)", "Admitted the patient")
}

func TestNothingAboutAPatientReachesALogAnAddressOrAnErrorPage(t *testing.T) {
	h := newHouse(t)
	const canary = "Zzyxcanary"
	var said strings.Builder
	watch := func(path string, w *httptest.ResponseRecorder) string {
		fmt.Fprintln(&said, path)
		for name, values := range w.Header() {
			if name != "Content-Disposition" {
				fmt.Fprintln(&said, name, values)
			}
		}
		if w.Code >= 400 && w.Code != 409 && w.Code != 422 {
			fmt.Fprintln(&said, w.Body)
		}
		return w.Body.String()
	}
	ask := func(who, method, path string, form url.Values) string {
		return watch(path, h.ask(who, method, path, form))
	}
	w := h.ask("rivera", "POST", "/patients/new", url.Values{"family": {canary}, "given": {canary}, "safe": {canary}, "care": {string(h.rivera)}})
	watch("/patients/new", w)
	at := w.Header().Get("Location")
	p := id.Patient(strings.TrimPrefix(at, "/patients/"))
	ask("rivera", "POST", "/patients/find", url.Values{"q": {canary}})
	sheet := ask("rivera", "POST", at+"/notes/new", url.Values{"form": {"safety-plan"}})
	ask("rivera", "POST", at+"/notes", h.filled(sheet, "keep", map[string]string{"signs": canary}))
	torn := h.filled(sheet, "keep", map[string]string{"signs": canary})
	torn.Set("form", canary)
	ask("rivera", "POST", at+"/notes", torn)
	watch(at+"/files", h.upload("rivera", p, canary+".pdf", strings.NewReader("%PDF-1.4 "+canary)))
	watch(at+"/files", h.upload("rivera", p, canary+".pdf", io.MultiReader(strings.NewReader(canary), broken{})))
	watch(at+"/files", h.upload("bello", p, canary+".pdf", strings.NewReader(canary)))
	list := ask("rivera", "GET", at, nil)
	contains(t, list, canary) // or this test sees nothing
	file := fileLink.FindString(list)
	ask("rivera", "GET", file, nil)
	ask("stranger", "GET", at, nil)
	h.must(os.RemoveAll(filepath.Join(h.dir, "blobs")))
	watch(at+"/files", h.upload("rivera", p, canary+".bin", &filler{left: 1 << 20}))
	ask("rivera", "GET", file, nil)
	for where, text := range map[string]string{"the log": h.log.String(), "an address, a header or an error page": said.String()} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(canary)) {
			t.Errorf("a patient's words reach %s:\n%s", where, text)
		}
	}
	holds(t, list, "<title>Chart ·")
}

func TestTheExportHoldsNotesAsTextAndFilesAsTheyCame(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	h.write("rivera", p, "dap", "sign", map[string]string{"data": "what was said", "plan": "what comes"})
	h.write("rivera", p, "dap", "keep", map[string]string{"data": "not done"})
	h.upload("rivera", p, "a/b:c?.pdf", strings.NewReader("%PDF-1.4 one"))
	h.upload("rivera", p, "a/b:c?.pdf", strings.NewReader("%PDF-1.4 two"))
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	h.must(h.chart.Layer().Export(h.as("rivera"), p, z))
	h.must(z.Close())
	got := unzip(t, b.Bytes())
	holds(t, got["chart/notes/2026-11-23 Progress note.txt"], "Signed by Tomás Rivera, November 23, 2026, 15:02 UTC", "Data\nwhat was said\n", "Plan\nwhat comes\n")
	holds(t, got["chart/notes/2026-11-23 Progress note, draft.txt"], "Draft of Tomás Rivera, not signed")
	if got["chart/files/b_c_.pdf"] == "" || got["chart/files/b_c_.pdf"] == got["chart/files/b_c_ (2).pdf"] || len(got) != 4 {
		t.Errorf("the export holds %q", got)
	}
	if err := h.chart.Layer().Export(h.as("desk"), p, zip.NewWriter(io.Discard)); err == nil {
		t.Error("the front desk carries a chart out")
	}
}

func unzip(t *testing.T, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	return files
}

func FuzzAFileNameIsAlwaysOneSafeLine(f *testing.F) {
	for _, seed := range []string{"a.pdf", `..\..\x`, "../../etc/passwd", "a\r\nSet-Cookie: x", "\u202Egpj.exe", strings.Repeat("ö", 500), "", ".", "a\x00b", "%zz\"';", "\xff\xfe"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		name := chart.FileName(sent)
		if name == "" || len([]rune(name)) > 200 || strings.ContainsAny(name, "/\\\r\n\x00\u202e") || name == "." || name == ".." {
			t.Errorf("%q became %q", sent, name)
		}
		d := chart.Disposition(name)
		kind, params, err := mime.ParseMediaType(d)
		if err != nil || kind != "attachment" || strings.ContainsFunc(d, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q became the header %q: %v", sent, d, err)
		}
		if got := params["filename"]; got != name && got != "" {
			t.Errorf("the browser saves %q as %q", name, got)
		}
	})
}

func TestEveryPageIsForSignedPeopleOnly(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	for _, path := range []string{"/patients", "/patients/new", page(p), page(p, "/edit"), page(p, "/all"), page(p, "/looked"), page(p, "/notes/new"), "/emergency", page(p, "/emergency")} {
		w := h.send(httptest.NewRequest("GET", path, nil))
		if w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "/unlock") {
			t.Errorf("%s answered %d to nobody", path, w.Code)
		}
	}
}
