package web_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"quietroom/ground/web"
)

// FuzzNext: whatever stands in "next", the browser stays in this house.
func FuzzNext(f *testing.F) {
	for _, s := range []string{"/", "/patients/AB", "//e.example", `/\e.example`, "/%2f/e.example", "/%5ce", "https://e.example", "/a?q=1", "/a#b", "/..", "/%2e%2e/x", "/\t/e", "/unlock", "/a%00", "/a\r\nb", "javascript:x"} {
		f.Add(s)
	}
	base, err := url.Parse("https://house.example/unlock")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := httptest.NewRequest("GET", "/unlock?next="+url.QueryEscape(s), nil)
		next := web.Next(r)
		u, err := base.Parse(next)
		if err != nil {
			t.Fatalf("%q leads to %q, which is no address: %v", s, next, err)
		}
		if u.Host != base.Host || u.Scheme != base.Scheme || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			t.Fatalf("%q leads out of the house, to %s", s, u)
		}
		if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\t\r\n ") {
			t.Fatalf("%q leads to %q, which a browser may read differently", s, next)
		}
		if err := web.SeeOther(httptest.NewRecorder(), r, next); err != nil {
			t.Fatalf("%q leads to %q, which SeeOther refuses", s, next)
		}
	})
}

// FuzzParts: no upload is received unless its first part is the right token.
func FuzzParts(f *testing.F) {
	right := token(clinicianCookie)
	const head = "--b\r\nContent-Disposition: form-data; name=\""
	f.Add([]byte(head+web.TokenField+"\"\r\n\r\n"+right+"\r\n"+head+"file\"\r\n\r\nx\r\n--b--\r\n"), true)
	f.Add([]byte(head+"file\"\r\n\r\nx\r\n"+head+web.TokenField+"\"\r\n\r\n"+right+"\r\n--b--\r\n"), true)
	f.Add([]byte("--b--"), false)
	f.Add([]byte(head+web.TokenField+"\"; filename=\"x\"\r\n\r\n"+right+"\r\n--b--\r\n"), true)
	m := newRoom(f, false)
	f.Fuzz(func(t *testing.T, body []byte, signed bool) {
		m.kept = nil
		a := ask{method: "POST", path: "/files", header: map[string]string{"Content-Type": "multipart/form-data; boundary=b"}, body: io.NopCloser(bytes.NewReader(body))}
		if signed {
			a.cookie = clinicianCookie
		}
		got := a.of(m)
		if got.Code == http.StatusInternalServerError {
			return // a torn part: read by the room, reported by it
		}
		if len(m.kept) > 0 && (!signed || !bytes.Contains(body, []byte(right))) {
			t.Fatalf("an upload without the token was received: %q", m.kept)
		}
		if got.Code == http.StatusSeeOther && !signed {
			t.Fatal("an upload without a session was received")
		}
	})
}
