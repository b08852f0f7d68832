package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	cdp "github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
)

// computer is the hardware of somebody whose browser binds sessions.
type computer struct{ key *ecdsa.PrivateKey }

func newComputer(t testing.TB) computer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return computer{key}
}

// answers signs a challenge as Chromium does.
func (c computer) answers(t testing.TB, challenge string) string {
	t.Helper()
	point, err := c.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return enc(b)
	}
	text := part(map[string]any{"alg": "ES256", "typ": "dbsc+jwt", "jwk": map[string]string{"kty": "EC", "crv": "P-256", "x": enc(point[1:33]), "y": enc(point[33:])}}) +
		"." + part(map[string]string{"jti": challenge})
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, c.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + enc(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

var offeredChallenge = regexp.MustCompile(`challenge="([^"]+)"`)

// boundHouse is a house behind https, with its owner signed in.
type boundHouse struct {
	*served
	mux http.Handler
}

// call sends what a browser sends by itself, and returns the answer.
func (h *boundHouse) call(method, path string, cookies map[string]string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "https://vault.example.org"+path, nil)
	for name, value := range cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for k := 0; k+1 < len(header); k += 2 {
		if header[k] == "from" {
			r.RemoteAddr = header[k+1]
			continue
		}
		r.Header.Set(header[k], header[k+1])
	}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return w.Result()
}

// signedIn opens a session for the owner's code, as a sign-in does, and returns
// its cookies and the challenge that came with them.
func newBoundHouse(t *testing.T) (h *boundHouse, cookies map[string]string, challenge string) {
	t.Helper()
	made := newHouse(t)
	made.Origin = "https://vault.example.org"
	h = &boundHouse{served: &served{t: t, db: made.db, Identity: made.Identity, clock: &clock{t: time.Now()}}}
	h.Identity.Now = h.clock.now
	h.mux = h.muxOf()
	u, err := made.UnlockCode(t.Context(), made.ana.Auth(), made.ana.KEK())
	if err != nil {
		t.Fatal(err)
	}
	defer u.Wipe()
	w := httptest.NewRecorder()
	if _, err := h.begin(w, httptest.NewRequest(http.MethodPost, "https://vault.example.org/passkey/finish", nil), u, opening{with: "passkey"}, nil); err != nil {
		t.Fatal(err)
	}
	m := offeredChallenge.FindStringSubmatch(w.Result().Header.Get("Secure-Session-Registration"))
	if m == nil {
		t.Fatal("the sign-in offers no binding over https")
	}
	return h, taken(map[string]string{}, w.Result()), m[1]
}

// taken are the cookies of a browser after an answer.
func taken(cookies map[string]string, res *http.Response) map[string]string {
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(cookies, c.Name)
			continue
		}
		cookies[c.Name] = c.Value
	}
	return cookies
}

func TestABoundSessionIsRefusedAtOnceElsewhere(t *testing.T) {
	h, mine, challenge := newBoundHouse(t)
	own := newComputer(t)
	inside := func(cookies map[string]string, header ...string) bool {
		return h.call(http.MethodGet, "/", cookies, header...).StatusCode == http.StatusOK
	}
	if !inside(mine) {
		t.Fatal("a session that is not bound yet is closed")
	}
	if res := h.call(http.MethodPost, bindPath, mine, "Secure-Session-Response", newComputer(t).answers(t, "AAAA")); res.StatusCode != http.StatusForbidden {
		t.Fatalf("a thief without the challenge binds the session: %d", res.StatusCode)
	}
	res := h.call(http.MethodPost, bindPath, mine, "Secure-Session-Response", own.answers(t, challenge))
	if res.StatusCode != http.StatusOK {
		t.Fatalf("binding answers %d", res.StatusCode)
	}
	taken(mine, res)
	if res := h.call(http.MethodPost, bindPath, mine, "Secure-Session-Response", newComputer(t).answers(t, challenge)); res.StatusCode != http.StatusForbidden {
		t.Errorf("a session is bound twice: %d", res.StatusCode)
	}
	if !inside(mine) {
		t.Fatal("the browser that bound the session is out")
	}
	for name, header := range map[string][]string{"another network": {"from", "203.0.113.7:4711"}, "another browser": {"User-Agent", "curl/8"}} {
		if inside(mine, header...) {
			t.Errorf("a copied pair opens the room in %s", name)
		}
	}
	// Who has moved with the computer signs, and goes on.
	moved := []string{"from", "203.0.113.7:4711"}
	res = h.call(http.MethodPost, refreshPath, mine, append(moved, "Sec-Secure-Session-Id", "x")...)
	m := regexp.MustCompile(`^"([^"]+)"`).FindStringSubmatch(res.Header.Get("Secure-Session-Challenge"))
	if res.StatusCode != http.StatusForbidden || m == nil {
		t.Fatalf("asking for a proof answers %d without a challenge", res.StatusCode)
	}
	if res := h.call(http.MethodPost, refreshPath, mine, append(moved, "Secure-Session-Response", newComputer(t).answers(t, m[1]))...); res.StatusCode != http.StatusForbidden {
		t.Errorf("another computer's key renews: %d", res.StatusCode)
	}
	if res := h.call(http.MethodPost, refreshPath, mine, append(moved, "Secure-Session-Response", own.answers(t, m[1]))...); res.StatusCode != http.StatusForbidden {
		t.Errorf("a challenge is answered twice: %d", res.StatusCode)
	}
	res = h.call(http.MethodPost, refreshPath, mine, append(moved, "Sec-Secure-Session-Id", "x")...)
	m = regexp.MustCompile(`^"([^"]+)"`).FindStringSubmatch(res.Header.Get("Secure-Session-Challenge"))
	if res = h.call(http.MethodPost, refreshPath, mine, append(moved, "Secure-Session-Response", own.answers(t, m[1]))...); res.StatusCode != http.StatusOK {
		t.Fatalf("the computer's own key is refused: %d", res.StatusCode)
	}
	taken(mine, res)
	if !inside(mine, moved...) || inside(mine) {
		t.Error("after moving, the session is not where the computer is")
	}
}

func TestABoundBrowserDoesNotComeBackAfterTenMinutes(t *testing.T) {
	h, mine, challenge := newBoundHouse(t)
	own := newComputer(t)
	taken(mine, h.call(http.MethodPost, bindPath, mine, "Secure-Session-Response", own.answers(t, challenge)))
	h.clock.pass(10*time.Minute + time.Second)
	res := h.call(http.MethodPost, refreshPath, mine, "Sec-Secure-Session-Id", "x")
	if res.StatusCode != http.StatusOK || res.Header.Get("Secure-Session-Challenge") != "" {
		t.Errorf("a room that nobody was in opens by itself: %d", res.StatusCode)
	}
}

func TestOnlyTokensAsBrowsersMakeThemAreRead(t *testing.T) {
	good := newComputer(t).answers(t, "AAAA")
	if tok, err := readToken(good); err != nil || !tok.signedBy(tok.key) {
		t.Fatalf("a good token: %v", err)
	}
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"dbsc+jwt"}`))
	for _, bad := range []string{"", "a.b", good + ".", none + "." + parts[1] + "." + parts[2], parts[0] + "." + parts[1] + ".", strings.Repeat("A", 5000)} {
		if tok, err := readToken(bad); err == nil && tok.signedBy(tok.key) {
			t.Errorf("%.20q is taken for a token", bad)
		}
	}
}

// Chromium itself, with the feature on, over https.
func TestChromiumBindsItsSession(t *testing.T) {
	s := serveSQLite(t, false)
	tls := httptest.NewTLSServer(s.muxOf())
	t.Cleanup(tls.Close)
	s.origin = "https://localhost:" + tls.URL[strings.LastIndex(tls.URL, ":")+1:]
	tab := webtest.BrowserWith(t, tls.Certificate(), "DeviceBoundSessions", "EnableBoundSessionCredentialsSoftwareKeysForManualTesting")
	tab.Dark(false)
	tab.Authenticator(webtest.Abilities{PRF: true})
	claimAt(t, s, tab, false)
	tab.Go(s.origin + "/")
	bound := func() (found session) {
		all, err := s.kept.all(t.Context(), s.db, keptSession, s.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range all {
			if err := json.Unmarshal(value, &found); err != nil {
				t.Fatal(err)
			}
		}
		return found
	}
	for range 200 {
		if len(bound().Bound) > 0 {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	first := bound()
	if len(first.Bound) != 65 {
		t.Fatal("Chromium was asked and did not bind its session")
	}
	// Its proof is taken away: it signs for the next one by itself, before the next page.
	dropProof(t, tab, s.origin)
	tab.Go(s.origin + "/doors")
	if got := tab.Path(); got != "/doors" {
		t.Fatalf("without a proof Chromium is sent to %s: it did not sign for a new one", got)
	}
	if string(bound().Bound) != string(first.Bound) {
		t.Error("the session was bound anew")
	}
}

func dropProof(t *testing.T, tab *webtest.Tab, origin string) {
	t.Helper()
	err := chromedp.Do(tab.Context(), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, cdp.DeleteCookies, cdp.DeleteCookiesParams{Name: web.ProofCookie, URL: origin})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
}
