package authenticator

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"quietroom/ground/seal"
)

// Browser talks to a house as passkey.js does: the same requests, the same
// sealed boxes, the same cookies. One Browser is one person's.
type Browser struct {
	Client *http.Client
	Base   string // where the house is served: http://127.0.0.1:8420
	Origin string // what the browser's address bar would say: http://localhost:8420
	Device *Device
	Header http.Header // sent with every request

	cookies map[string]string
	token   string
	renewal *ecdsa.PrivateKey
}

// Refused is what the house said instead of doing what was asked.
type Refused struct {
	Status int    `json:"status"`
	Text   string `json:"text"`
	Fix    string `json:"fix"`
}

func (e *Refused) Error() string { return fmt.Sprintf("refused with %d: %s", e.Status, e.Text) }

// Question is what the house asks; see identity.
type Question struct {
	Ceremony  string          `json:"ceremony"`
	Seal      []byte          `json:"seal"`
	PublicKey json.RawMessage `json:"publicKey"`
	Nonce     []byte          `json:"nonce"`
	Demo      bool            `json:"demo"`
}

// Set replaces one of the options that the device sees.
func (q *Question) Set(option, value string) error {
	var all map[string]any
	if err := json.Unmarshal(q.PublicKey, &all); err != nil {
		return err
	}
	all[option] = value
	var err error
	q.PublicKey, err = json.Marshal(all)
	return err
}

// Reply is the answer to a Question.
type Reply struct {
	Ceremony   string         `json:"ceremony"`
	Credential map[string]any `json:"credential,omitempty"`
	Box        []byte         `json:"box,omitempty"`
	Key        []byte         `json:"key,omitempty"`
	Label      string         `json:"label,omitempty"`
	Pass       string         `json:"pass,omitempty"`
	Signature  []byte         `json:"signature,omitempty"`
}

// Copy takes the browser's cookies elsewhere, as a thief would. The key that
// renews the session stays behind: a browser does not export it.
func (b *Browser) Copy() *Browser {
	return &Browser{Client: b.Client, Base: b.Base, Origin: b.Origin, Device: &Device{}, Header: b.Header.Clone(), cookies: maps.Clone(b.cookies), token: b.token}
}

// CopyWithKey is Copy of a browser that gives away the key that renews its session.
func (b *Browser) CopyWithKey() *Browser {
	c := b.Copy()
	c.renewal = b.renewal
	return c
}

// NewKey makes another key to renew with: that of a thief.
func (b *Browser) NewKey() error {
	_, err := b.renewalKey()
	return err
}

// Cookies are the cookies that the browser holds.
func (b *Browser) Cookies() map[string]string { return maps.Clone(b.cookies) }

// Forget drops a cookie.
func (b *Browser) Forget(name string) { delete(b.cookies, name) }

// Ask posts JSON and reads the answer into out, unless it is nil.
func (b *Browser) Ask(ctx context.Context, path string, in, out any, header ...string) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	for k := 0; k+1 < len(header); k += 2 {
		h.Set(header[k], header[k+1])
	}
	res, err := b.do(ctx, http.MethodPost, path, bytes.NewReader(body), h)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		e := &Refused{Status: res.StatusCode}
		_ = json.Unmarshal(said, e) // not every refusal is JSON; the status says enough
		return e
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(said, out)
}

// Post sends a form, and returns the status.
func (b *Browser) Post(ctx context.Context, path string, form url.Values) (int, error) {
	status, _, err := b.PostPage(ctx, path, form)
	return status, err
}

// PostPage is Post for a form that is answered with a page.
func (b *Browser) PostPage(ctx context.Context, path string, form url.Values) (status int, page string, err error) {
	res, err := b.do(ctx, http.MethodPost, path, strings.NewReader(form.Encode()), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

var formToken = regexp.MustCompile(`<meta name="form-token" content="([^"]*)">`)

// Send posts a body of any kind, such as files, and returns the page that comes back.
func (b *Browser) Send(ctx context.Context, path, kind string, body io.Reader) (status int, page string, err error) {
	res, err := b.do(ctx, http.MethodPost, path, body, http.Header{"Content-Type": {kind}})
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// Token is the form token of the page that was read last.
func (b *Browser) Token() string { return b.token }

// Get reads a page, and the form token in it.
func (b *Browser) Get(ctx context.Context, path string) (status int, page string, err error) {
	res, err := b.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if m := formToken.FindSubmatch(text); m != nil {
		b.token = string(m[1])
	}
	return res.StatusCode, string(text), err
}

func (b *Browser) do(ctx context.Context, method, path string, body io.Reader, h http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, b.Base+path, body)
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(b.Origin); err == nil && u.Host != "" {
		req.Host = u.Host
	}
	maps.Copy(req.Header, b.Header)
	maps.Copy(req.Header, h)
	if method != http.MethodGet {
		req.Header.Set("X-Form-Token", b.token)
	}
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	// A redirect is an answer: the browser of a drill goes where it wants to.
	res, err := b.Client.Transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if b.cookies == nil {
		b.cookies = map[string]string{}
	}
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c.Value
	}
	return res, nil
}

// SignIn opens the room with the device's passkey.
func (b *Browser) SignIn(ctx context.Context) error {
	var q Question
	if err := b.Ask(ctx, "/passkey/begin", struct{}{}, &q); err != nil {
		return err
	}
	r, err := b.Answer(q)
	if err != nil {
		return err
	}
	if r.Key, err = b.renewalKey(); err != nil {
		return err
	}
	if err := b.Ask(ctx, "/passkey/finish", r, nil); err != nil {
		return err
	}
	return b.refresh(ctx)
}

// refresh reads the form token of the session that was just opened.
func (b *Browser) refresh(ctx context.Context) error {
	status, _, err := b.Get(ctx, "/doors")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("after a sign-in the list of doors answers %d", status)
	}
	return err
}

// Answer signs a question with the device's passkey and seals its key.
func (b *Browser) Answer(q Question) (Reply, error) {
	a, err := b.Device.Get(b.Origin, q.PublicKey)
	if err != nil {
		return Reply{}, err
	}
	return Seal(q, a)
}

// Seal makes the reply to a question out of a device's answer.
func Seal(q Question, a Answer) (r Reply, err error) {
	r = Reply{Ceremony: q.Ceremony, Credential: a.Credential}
	if a.First != nil {
		r.Box, err = seal.SealToCeremony(q.Seal, q.Ceremony, a.First)
	}
	return r, err
}

// Code opens the room with a personal code, and returns the ticket for one more
// door and the code that takes the place of a spent one.
func (b *Browser) Code(ctx context.Context, code seal.Code) (ticket string, next seal.Code, err error) {
	next = seal.NewCode(seal.Personal)
	r, err := b.sealCodes(ctx, code, next)
	if err != nil {
		return "", next, err
	}
	if r.Key, err = b.renewalKey(); err != nil {
		return "", next, err
	}
	var out struct {
		Ticket string `json:"ticket"`
		Spent  bool   `json:"spent"`
	}
	if err := b.Ask(ctx, "/code/finish", r, &out); err != nil {
		return "", next, err
	}
	if !out.Spent {
		next = code
	}
	return out.Ticket, next, b.refresh(ctx)
}

func (b *Browser) sealCodes(ctx context.Context, codes ...seal.Code) (r Reply, err error) {
	var q Question
	if err := b.Ask(ctx, "/code/begin", struct{}{}, &q); err != nil {
		return r, err
	}
	var parts []byte
	for _, c := range codes {
		auth, kek := c.Auth(), c.KEK()
		parts = append(append(parts, auth[:]...), kek[:]...)
	}
	r.Ceremony = q.Ceremony
	r.Box, err = seal.SealToCeremony(q.Seal, q.Ceremony, parts)
	return r, err
}

// Register makes a passkey by the two requests at a path: PATH/begin and
// PATH/finish for a claim, /doors/begin and /doors/passkey for one more door.
func (b *Browser) Register(ctx context.Context, begin, finish string, header ...string) error {
	if err := b.Make(ctx, begin, finish, header...); err != nil {
		return err
	}
	return b.refresh(ctx)
}

// Make is Register where no session is opened by it.
func (b *Browser) Make(ctx context.Context, begin, finish string, header ...string) error {
	var q Question
	if err := b.Ask(ctx, begin, struct{}{}, &q); err != nil {
		return err
	}
	a, err := b.Device.Create(b.Origin, q.PublicKey)
	if err != nil {
		return err
	}
	r, err := Seal(q, a)
	if err != nil {
		return err
	}
	if r.Key, err = b.renewalKey(); err != nil {
		return err
	}
	return b.Ask(ctx, finish, r, nil, header...)
}

// Tap taps for one act, and returns the ticket.
func (b *Browser) Tap(ctx context.Context, act, object string) (string, error) {
	var q Question
	if err := b.Ask(ctx, "/tap/begin", map[string]string{"act": act, "object": object}, &q); err != nil {
		return "", err
	}
	r := Reply{Ceremony: q.Ceremony}
	if !q.Demo {
		var err error
		if r, err = b.Answer(q); err != nil {
			return "", err
		}
	}
	var out struct {
		Ticket string `json:"ticket"`
	}
	err := b.Ask(ctx, "/tap/finish", r, &out)
	return out.Ticket, err
}

// Renew asks for a fresh proof, as the page does while somebody is there.
func (b *Browser) Renew(ctx context.Context) error {
	var q struct {
		Challenge []byte `json:"challenge"`
		Signature []byte `json:"signature,omitempty"`
	}
	if err := b.Ask(ctx, "/session/renew", q, &q); err != nil {
		return err
	}
	if b.renewal == nil { // a copied pair of cookies has no key to sign with
		if _, err := b.renewalKey(); err != nil {
			return err
		}
	}
	var err error
	if q.Signature, err = signRenewal(b.renewal, q.Challenge); err != nil {
		return err
	}
	return b.Ask(ctx, "/session/renew", q, nil)
}

// signRenewal signs as WebCrypto does: r and s, 32 bytes each.
func signRenewal(private *ecdsa.PrivateKey, challenge []byte) ([]byte, error) {
	const label = "session renewal v1"
	message := slices.Concat([]byte("quietroom signed v1"), binary.BigEndian.AppendUint32(nil, uint32(len(label))), []byte(label), challenge)
	digest := sha256.Sum256(message)
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		return nil, err
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
}

func (b *Browser) renewalKey() (public []byte, err error) {
	if b.renewal, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	return b.renewal.PublicKey.Bytes()
}

// GiveCode sends the two parts of a new personal code to a path: for one more door,
// or for somebody who joins.
func (b *Browser) GiveCode(ctx context.Context, path string, code seal.Code, header ...string) error {
	r, err := b.sealCodes(ctx, code)
	if err != nil {
		return err
	}
	return b.Ask(ctx, path, r, nil, header...)
}
