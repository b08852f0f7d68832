package web_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"quietroom/ground/web"
)

// ask is one request to the made-up room.
type ask struct {
	method, path string
	cookie       string
	header       map[string]string
	body         io.Reader
}

func (a ask) of(m http.Handler) *httptest.ResponseRecorder {
	r := httptest.NewRequest(a.method, a.path, a.body)
	if a.cookie != "" {
		r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: a.cookie})
	}
	for k, v := range a.header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w
}

// token is computed here once more, from the words of the promise.
func token(cookie string) string {
	mac := hmac.New(sha256.New, []byte(cookie))
	mac.Write([]byte("quietroom form v1"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func form(values ...string) (io.Reader, map[string]string) {
	f := url.Values{}
	for i := 0; i < len(values); i += 2 {
		f.Set(values[i], values[i+1])
	}
	return strings.NewReader(f.Encode()), map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
}

func TestADoorOpensForWhomItIs(t *testing.T) {
	for _, c := range []struct {
		path, cookie string
		want         int
		to           string
	}{
		{"/open", "", 200, ""},
		{"/open", "unknown", 200, ""},
		{"/open", "torn", 200, ""},
		{"/open", clinicianCookie, 200, ""},
		{"/parts", "", 303, "/unlock?next=%2Fparts"},
		{"/parts?q=canary", "", 303, "/unlock?next=%2Fparts"},
		{"/", "", 303, "/unlock"},
		{"/patients/a%5cb", "", 303, "/unlock"},
		{"/parts", "unknown", 303, "/unlock?next=%2Fparts"},
		{"/parts", "torn", 500, ""},
		{"/parts", clinicianCookie, 200, ""},
		{"/owners", "", 303, "/unlock?next=%2Fowners"},
		{"/owners", clinicianCookie, 403, ""},
		{"/owners", ownerCookie, 200, ""},
	} {
		t.Run(fmt.Sprintf("%s with %q", c.path, c.cookie), func(t *testing.T) {
			got := ask{method: "GET", path: c.path, cookie: c.cookie}.of(newRoom(t, false))
			if got.Code != c.want || got.Header().Get("Location") != c.to {
				t.Errorf("got %d to %q, want %d to %q", got.Code, got.Header().Get("Location"), c.want, c.to)
			}
		})
	}
}

func TestAScriptWithoutASessionIsToldSoInsteadOfBeingSentAway(t *testing.T) {
	m := newRoom(t, false)
	for name, header := range map[string]map[string]string{
		"a fetch":           {"Sec-Fetch-Dest": "empty"},
		"a script for JSON": {"Accept": "application/json"},
	} {
		if got := (ask{method: "GET", path: "/parts", header: header}).of(m); got.Code != 401 {
			t.Errorf("%s gets %d, want 401", name, got.Code)
		}
	}
	if got := (ask{method: "POST", path: "/notes"}).of(m); got.Code != 401 || len(m.kept) > 0 {
		t.Errorf("a post without a session gets %d and kept %q, want 401 and nothing", got.Code, m.kept)
	}
}

func TestARouteThatDoesNotSayForWhomItIsStopsTheStart(t *testing.T) {
	nothing := func(http.ResponseWriter, *http.Request) error { return nil }
	for name, handle := range map[string]func(*web.Mux){
		"no access":    func(m *web.Mux) { m.Handle("GET /x", nothing, 0) },
		"odd access":   func(m *web.Mux) { m.Handle("GET /x", nothing, 9) },
		"no method":    func(m *web.Mux) { m.Handle("/x", nothing, web.Anyone) },
		"static files": func(m *web.Mux) { m.Handle("GET /static/x", nothing, web.Anyone) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("the route was accepted")
				}
			}()
			handle(web.NewMux(web.Config{}))
		})
	}
}

func TestKeysArePutAwayAfterEveryRequest(t *testing.T) {
	m := newRoom(t, false)
	for i, path := range []string{"/parts", "/error", "/panic", "/owners"} {
		ask{method: "GET", path: path, cookie: clinicianCookie}.of(m)
		if m.sessions.closed != i+1 {
			t.Errorf("after %s keys were put away %d times, want %d", path, m.sessions.closed, i+1)
		}
	}
}

func TestAChangeNeedsTheTokenOfItsSession(t *testing.T) {
	for _, c := range []struct {
		name, path, cookie, field, header string
		want                              int
	}{
		{"no token", "/notes", clinicianCookie, "", "", 403},
		{"a wrong token", "/notes", clinicianCookie, "wrong", "", 403},
		{"another person's token", "/notes", clinicianCookie, token(ownerCookie), "", 403},
		{"its own, in the form", "/notes", clinicianCookie, token(clinicianCookie), "", 303},
		{"its own, in the header", "/notes", clinicianCookie, "", token(clinicianCookie), 303},
		{"a wrong header beside a right field", "/notes", clinicianCookie, token(clinicianCookie), "wrong", 403},
		{"a door for anyone, with a session", "/open", clinicianCookie, "", "", 403},
		{"a door for anyone, with a dead session", "/open", "unknown", "", "", 403},
		{"a door for anyone, without a session", "/open", "", "", "", 303},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newRoom(t, false)
			body, header := form("note", "words", web.TokenField, c.field)
			if c.header != "" {
				header[web.TokenHeader] = c.header
			}
			got := ask{"POST", c.path, c.cookie, header, body}.of(m)
			if got.Code != c.want {
				t.Errorf("got %d, want %d", got.Code, c.want)
			}
			if kept := len(m.kept) > 0; kept != (c.want == 303) {
				t.Errorf("the words were kept: %v, with status %d", kept, got.Code)
			}
		})
	}
}

func TestATokenInTheAddressIsNoToken(t *testing.T) {
	m := newRoom(t, false)
	body, header := form("note", "words")
	got := ask{"POST", "/notes?" + web.TokenField + "=" + token(clinicianCookie), clinicianCookie, header, body}.of(m)
	if got.Code != 403 {
		t.Errorf("got %d, want 403: a secret in an address ends in histories and logs", got.Code)
	}
}

func TestAnotherSiteChangesNothing(t *testing.T) {
	for _, header := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
		{"Origin": "https://elsewhere.example"},
	} {
		m := newRoom(t, false)
		header[web.TokenHeader] = token(clinicianCookie)
		got := ask{"POST", "/notes", clinicianCookie, header, nil}.of(m)
		if got.Code != 403 || len(m.kept) > 0 {
			t.Errorf("%v gets %d, want 403", header, got.Code)
		}
	}
}

func TestAStrangerFillsNoLog(t *testing.T) {
	torn := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for name, a := range map[string]ask{
		"from another site":        {"POST", "/open", "", map[string]string{"Origin": "https://elsewhere.example"}, nil},
		"a torn form":              {"POST", "/open", "", torn, strings.NewReader("a=%zz")},
		"a form that breaks off":   {"POST", "/open", "", torn, iotest.ErrReader(io.ErrUnexpectedEOF)},
		"a form too large":         {"POST", "/open", "", torn, strings.NewReader("a=" + strings.Repeat("x", 2<<20))},
		"an upload of nothing":     {"POST", "/open", "", map[string]string{"Content-Type": "multipart/form-data"}, strings.NewReader("x")},
		"an upload without a door": {"POST", "/files", "", map[string]string{"Content-Type": "multipart/form-data; boundary=b"}, strings.NewReader("--b")},
		"a wrong method":           {"DELETE", "/open", "", nil, nil},
		"no such page":             {"POST", "/nowhere", "", nil, nil},
		"a stale form":             {"POST", "/open", "unknown", nil, nil},
		"a closed door":            {"POST", "/notes", "", nil, nil},
	} {
		m := newRoom(t, false)
		if got := a.of(m); got.Code < 400 || m.log.Len() > 0 {
			t.Errorf("%s gets %d and writes %q", name, got.Code, m.log)
		}
	}
}

func TestAStrangerWhoHangsUpFillsNoLog(t *testing.T) {
	for cookie, logged := range map[string]bool{"": false, clinicianCookie: true} {
		m := newRoom(t, false)
		m.Handle("GET /asks", func(_ http.ResponseWriter, r *http.Request) error { return context.Cause(r.Context()) }, web.Anyone)
		r := httptest.NewRequest("GET", "/asks", nil)
		r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: cookie})
		ctx, hangUp := context.WithCancel(r.Context())
		hangUp()
		m.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
		if got := m.log.Len() > 0; got != logged {
			t.Errorf("with the cookie %q it is logged: %v, want %v", cookie, got, logged)
		}
	}
}

// counted is what a request brings, and how much of it was taken.
type counted struct {
	io.Reader
	taken int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.taken += n
	return n, err
}

func TestLittleIsTakenOfAStranger(t *testing.T) {
	for _, c := range []struct {
		path, cookie string
		size         int
		want, most   int
	}{
		{"/open", "", 32<<10 - 200, 303, 32 << 10},
		{"/open", "", 1<<20 - 200, 413, 33 << 10},
		{"/open", "unknown", 1<<20 - 200, 413, 33 << 10},
		{"/notes", "", 1<<20 - 200, 401, 0},
		{"/notes", "unknown", 1<<20 - 200, 401, 0},
		{"/owners", clinicianCookie, 1<<20 - 200, 403, 0},
		{"/open", clinicianCookie, 1<<20 - 200, 303, 1 << 20},
	} {
		values, header := form("note", strings.Repeat("x", c.size), web.TokenField, token(c.cookie))
		body := &counted{Reader: values}
		got := ask{"POST", c.path, c.cookie, header, body}.of(newRoom(t, false))
		if got.Code != c.want || body.taken > c.most {
			t.Errorf("%d bytes to %s with the cookie %q: got %d after %d bytes, want %d after %d at most", c.size, c.path, c.cookie, got.Code, body.taken, c.want, c.most)
		}
	}
}

// upload is a multipart body of name, value pairs.
func upload(t testing.TB, values ...string) (io.Reader, map[string]string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(values); i += 2 {
		if err := w.WriteField(values[i], values[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b, map[string]string{"Content-Type": w.FormDataContentType()}
}

func TestAnUploadShowsItsTokenBeforeItsFile(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts []string
		want  int
	}{
		{"the token first", []string{web.TokenField, token(clinicianCookie), "file", "bytes"}, 303},
		{"a wrong token", []string{web.TokenField, "wrong", "file", "bytes"}, 403},
		{"a token that never ends", []string{web.TokenField, strings.Repeat("x", 5000), "file", "bytes"}, 403},
		{"the token last", []string{"file", "bytes", web.TokenField, token(clinicianCookie)}, 403},
		{"no token", []string{"file", "bytes"}, 403},
		{"nothing", nil, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newRoom(t, false)
			body, header := upload(t, c.parts...)
			got := ask{"POST", "/files", clinicianCookie, header, body}.of(m)
			if got.Code != c.want {
				t.Errorf("got %d, want %d", got.Code, c.want)
			}
			if want := c.want == 303; slices.Equal(m.kept, []string{"file=bytes"}) != want {
				t.Errorf("kept %q with status %d", m.kept, got.Code)
			}
		})
	}
}

func TestNothingOfAnUploadIsSpooledToDisk(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	m := newRoom(t, false)
	m.Handle("POST /spool", web.Big(64<<20, func(_ http.ResponseWriter, r *http.Request) error {
		if err := r.ParseMultipartForm(1); err == nil {
			t.Error("a handler could call ParseMultipartForm, which spools to disk")
		}
		return nil
	}), web.Signed)
	body, header := upload(t, web.TokenField, token(clinicianCookie), "file", strings.Repeat("canary", 1<<20))
	ask{"POST", "/spool", clinicianCookie, header, body}.of(m)
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 {
		t.Errorf("the upload left %v (%v) in the temporary directory", left, err)
	}
}

func TestAnUploadThatBreaksOffIsNotTakenForAWholeOne(t *testing.T) {
	for name, end := range map[string]error{"the network goes": io.ErrUnexpectedEOF, "the sender stops in between": io.EOF} {
		t.Run(name, func(t *testing.T) {
			whole, header := upload(t, web.TokenField, token(clinicianCookie), "file", "bytes", "more", "bytes")
			all, err := io.ReadAll(whole)
			if err != nil {
				t.Fatal(err)
			}
			all = bytes.TrimSuffix(all, []byte("\r\n")) // the last boundary may end the upload
			for size := range len(all) + 1 {
				m := newRoom(t, false)
				torn := io.MultiReader(bytes.NewReader(all[:size]), iotest.ErrReader(end))
				got := ask{"POST", "/files", clinicianCookie, header, torn}.of(m)
				if whole := size == len(all) && end == io.EOF; (got.Code == 303) != whole || m.log.Len() > 0 {
					t.Errorf("%d of %d bytes: got %d, logged %s; want a sentence for the sender", size, len(all), got.Code, m.log)
				}
			}
		})
	}
}

func TestTooMuchIsRefusedWithASentence(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		want int
	}{{"a large form", 1 << 20, 413}, {"a form that fits", 1<<20 - 100, 303}} {
		t.Run(c.name, func(t *testing.T) {
			m := newRoom(t, false)
			body, header := form("note", strings.Repeat("x", c.size), web.TokenField, token(clinicianCookie))
			if got := (ask{"POST", "/notes", clinicianCookie, header, body}).of(m); got.Code != c.want {
				t.Errorf("got %d, want %d", got.Code, c.want)
			}
		})
	}
	for _, c := range []struct {
		name string
		size int
		want int
	}{{"an upload over the room's own limit", 9 << 20, 413}, {"one below it", 7 << 20, 303}} {
		t.Run(c.name, func(t *testing.T) {
			body, header := upload(t, web.TokenField, token(clinicianCookie), "file", strings.Repeat("x", c.size))
			got := ask{"POST", "/files", clinicianCookie, header, body}.of(newRoom(t, false))
			if got.Code != c.want || c.want == 413 && !strings.Contains(got.Body.String(), "more than fits") {
				t.Errorf("got %d, want %d and a sentence", got.Code, c.want)
			}
		})
	}
}

func TestEveryAnswerCarriesTheHeaders(t *testing.T) {
	m := newRoom(t, false)
	want := map[string]string{
		"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control":                "no-store",
		"Strict-Transport-Security":    "max-age=63072000",
	}
	for _, path := range []string{"/parts", "/owners", "/nowhere", "/panic", "/refused", "/open", "/broken/x"} {
		got := ask{method: "GET", path: "https://house.example" + path, cookie: clinicianCookie}.of(m)
		for name, value := range want {
			if got.Header().Get(name) != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got.Header().Get(name), value)
			}
		}
	}
	if got := (ask{method: "GET", path: "/open"}).of(m); got.Header().Get("Strict-Transport-Security") != "" {
		t.Error("a house on plain localhost promises TLS for two years")
	}
}

func TestOnlyTheTextOfAnErrorReachesAPerson(t *testing.T) {
	m := newRoom(t, false)
	for _, path := range []string{"/broken/canary-of-a-path?q=canary-of-a-query", "/panic?q=canary-of-a-query", "/error?canary", "/nowhere/canary-of-a-path"} {
		got := ask{method: "GET", path: path, cookie: clinicianCookie}.of(m)
		if got.Code < 400 {
			t.Errorf("%s: %d", path, got.Code)
		}
		if body := got.Body.String(); strings.Contains(body, "canary") || strings.Contains(body, "device 9") {
			t.Errorf("the page of %s says what is for the operator:\n%s", path, body)
		}
	}
	if log := m.log.String(); strings.Contains(log, "canary") {
		t.Errorf("the log says what somebody asked for:\n%s", log)
	}
	for _, want := range []string{"route=/broken/{secret}", "route=/panic", "device 9 is busy", "read row: parsing", "status=500"} {
		if !strings.Contains(m.log.String(), want) {
			t.Errorf("the log lacks %q for the operator:\n%s", want, m.log)
		}
	}
	if strings.Contains(m.log.String(), "nowhere") {
		t.Error("a page that does not exist is no fault of ours, and its address is somebody's words")
	}
}

func TestTheReferenceOnThePageIsTheOneInTheLog(t *testing.T) {
	m := newRoom(t, false)
	body := ask{method: "GET", path: "/broken/x"}.of(m).Body.String()
	found := regexp.MustCompile(`<code>([A-Z2-7]{8})</code>`).FindStringSubmatch(body)
	if found == nil || !strings.Contains(m.log.String(), "reference="+found[1]) {
		t.Errorf("page and log do not share a reference:\n%s\n%s", body, m.log)
	}
}

func TestAnErrorForAScriptIsJSON(t *testing.T) {
	got := ask{method: "GET", path: "/refused", cookie: clinicianCookie, header: map[string]string{"Accept": "application/json"}}.of(newRoom(t, false))
	for _, want := range []string{`"status":403`, `"minutes":4`, `"override":"/override"`, `"fix":"Open Settings`} {
		if !strings.Contains(got.Body.String(), want) {
			t.Errorf("%s lacks %s", got.Body, want)
		}
	}
}

func TestAWrongMethodAndAWrongPathHaveTheirPages(t *testing.T) {
	m := newRoom(t, false)
	if got := (ask{method: "DELETE", path: "/parts"}).of(m); got.Code != 405 || !strings.Contains(got.Body.String(), "does not take that step") {
		t.Errorf("a wrong method gets %d", got.Code)
	}
	if got := (ask{method: "GET", path: "/nowhere"}).of(m); got.Code != 404 || !strings.Contains(got.Body.String(), "no such page") {
		t.Errorf("a wrong path gets %d", got.Code)
	}
}

func TestHalfAPageIsNeverTakenForAWholeOne(t *testing.T) {
	s := httptest.NewServer(newRoom(t, false))
	defer s.Close()
	resp, err := http.Get(s.URL + "/half")
	if err == nil {
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
	}
	if err == nil {
		t.Error("an answer that broke off looks complete")
	}
}

func TestEveryFormThatPostsHasItsToken(t *testing.T) {
	m := newRoom(t, false)
	field := `name="_token" value="` + token(clinicianCookie) + `"`
	body := ask{method: "GET", path: "/parts", cookie: clinicianCookie}.of(m).Body.String()
	posts := strings.Count(body, `method="post"`)
	if got := strings.Count(body, field); got != posts || posts != 3 {
		t.Errorf("%d forms post, %d have the token; want 3 and 3", posts, got)
	}
	body = ask{method: "GET", path: "/open"}.of(m).Body.String()
	if !strings.Contains(body, `name="_token" value=""`) || strings.Contains(body, "form-token") {
		t.Error("without a session there is no token to show")
	}
}

func TestAFormThatComputesItsMethodStopsTheStart(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a form without a sure method was accepted")
		}
	}()
	web.MustPages(fstest.MapFS{"x.html": {Data: []byte(`<form action="/x" method="{{.}}">`)}})
}

func TestTheFrameShowsOnlyRoomsThatAreThere(t *testing.T) {
	m := newRoom(t, false)
	body := ask{method: "GET", path: "/parts", cookie: ownerCookie}.of(m).Body.String()
	order := []int{strings.Index(body, ">Home<"), strings.Index(body, `href="/patients"`), strings.Index(body, `href="/proof"`)}
	if !slices.IsSorted(order[1:]) || order[1] < 0 || strings.Contains(body, "Messages") {
		t.Errorf("navigation is at %v of the page, want home, patients, proof and no messages", order)
	}
	body = ask{method: "GET", path: "/open"}.of(m).Body.String()
	if strings.Contains(body, "/patients") || strings.Contains(body, "/lock") {
		t.Error("a stranger sees the navigation")
	}
}

// A frame is drawn once for all pages like it, and never with another's name or token.
func TestTheFrameIsOnesOwnHoweverOftenItIsShown(t *testing.T) {
	m := newRoom(t, false)
	for range 3 {
		for cookie, name := range map[string]string{ownerCookie: "Maya Lindqvist", clinicianCookie: "Tom Rivera", "": ""} {
			page := ask{path: "/open", cookie: cookie}.of(m).Body.String()
			for _, other := range []string{"Maya Lindqvist", "Tom Rivera"} {
				if strings.Contains(page, "Signed in as "+other) != (other == name) {
					t.Errorf("the page of %q and the name %q", name, other)
				}
			}
			for _, other := range []string{ownerCookie, clinicianCookie} {
				if strings.Contains(page, token(other)) != (other == cookie) {
					t.Errorf("the page of %q and the token of %q", cookie, other)
				}
			}
		}
	}
}

func TestSeeOtherLeadsNowhereElse(t *testing.T) {
	for to, ok := range map[string]bool{
		"/patients": true, "/patients?page=2": true, "/": true,
		"https://elsewhere.example/": false, "//elsewhere.example": false, `/\elsewhere.example`: false, "": false, "javascript:alert(1)": false, "/a\r\nSet-Cookie: x": false, "/a?\r\nSet-Cookie: x": false,
	} {
		w := httptest.NewRecorder()
		err := web.SeeOther(w, httptest.NewRequest("POST", "/x", nil), to)
		if (err == nil) != ok || ok && (w.Code != 303 || w.Header().Get("Location") != to) {
			t.Errorf("SeeOther to %q: %v, %d %q", to, err, w.Code, w.Header().Get("Location"))
		}
	}
}

func TestStaticFilesNeverChangeUnderTheirAddress(t *testing.T) {
	m := newRoom(t, false)
	m.Script("passkey.js", []byte("export {};"))
	body := ask{method: "GET", path: "/parts", cookie: ownerCookie}.of(m).Body.String()
	paths := regexp.MustCompile(`/static/[0-9a-f]{16}/[a-z.]+`).FindAllString(body, -1)
	if len(paths) < 4 {
		t.Fatalf("the page names %d static files: %v", len(paths), paths)
	}
	for _, p := range paths {
		got := ask{method: "GET", path: p}.of(m)
		if got.Code != 200 || got.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %d, %q", p, got.Code, got.Header().Get("Cache-Control"))
		}
	}
	for _, p := range []string{"/static/", "/static/0000000000000000/quietroom.css", "/static/../web.go"} {
		if got := (ask{method: "GET", path: p}).of(m); got.Code == 200 {
			t.Errorf("%s is served", p)
		}
	}
}

func TestErrorsCanBeUnwrapped(t *testing.T) {
	cause := errors.New("device 9 is busy")
	var err error = fmt.Errorf("check: %w", &web.Error{Text: "Not yet.", Err: cause})
	if e, ok := errors.AsType[*web.Error](err); !ok || e.Text != "Not yet." || !errors.Is(err, cause) {
		t.Errorf("%v does not unwrap", err)
	}
}

func TestALinkThatIsForOwnersIsShownToThemAlone(t *testing.T) {
	room := newRoom(t, false)
	room.Foot(web.NavItem{Text: "Mail", Path: "/mail", Owner: true})
	room.Foot(web.NavItem{Text: "Your ways in", Path: "/doors"})
	for cookie, want := range map[string]bool{ownerCookie: true, clinicianCookie: false} {
		page := ask{method: "GET", path: "/", cookie: cookie}.of(room).Body.String()
		if got := strings.Contains(page, `href="/mail"`); got != want {
			t.Errorf("%s is shown the owners' link: %v, want %v", cookie, got, want)
		}
		if !strings.Contains(page, `href="/doors"`) {
			t.Errorf("%s is not shown what is for everybody", cookie)
		}
	}
}
