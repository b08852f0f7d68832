package identity

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"quietroom/ground/seal"
	"quietroom/ground/web"
)

// Device Bound Session Credentials (W3C draft): a browser that has them makes a
// key in the computer's own hardware at the sign-in, and gets the second cookie
// by signing with it. A copied pair of cookies is then refused at once where the
// copy is used: from another network or by another browser. Where a browser does
// not have them, nothing changes: the copy dies with its proof, within ten minutes.

const (
	bindPath    = "/session/bind"
	refreshPath = "/session/refresh"
)

// offerBinding asks the browser, with the answer to a sign-in, to bind the session.
// Only this answer carries the challenge: a copy of the cookies binds nothing.
func (i *Identity) offerBinding(w http.ResponseWriter, r *http.Request, v *visit) error {
	origin, _, err := i.origin(r)
	if err != nil || !strings.HasPrefix(origin, "https://") {
		return err
	}
	challenge, err := i.challenge(r.Context(), v)
	if err != nil {
		return err
	}
	w.Header().Set("Secure-Session-Registration", `(ES256);path="`+bindPath+`";challenge="`+challenge+`"`)
	return nil
}

// challenge keeps a challenge for a session, a minute long.
func (i *Identity) challenge(ctx context.Context, v *visit) (string, error) {
	fresh := make([]byte, 32)
	rand.Read(fresh)
	err := i.kept.put(ctx, keptChallenge, secretKey("bind", fresh), []byte(v.name), i.Now().Add(challengeLasts))
	return base64.RawURLEncoding.EncodeToString(fresh), err
}

// bind takes the key that a browser made for its session.
func (i *Identity) bind(w http.ResponseWriter, r *http.Request) error {
	v, err := i.cookieHolder(r)
	if err != nil {
		return err
	}
	defer v.key.Wipe()
	t, err := readToken(r.Header.Get("Secure-Session-Response"))
	if err != nil || len(v.Bound) > 0 {
		return i.notBound(r)
	}
	if ok, err := i.challenged(r.Context(), v, t); err != nil || !ok || !t.signedBy(t.key) {
		return errors.Join(err, i.notBound(r))
	}
	v.Bound = t.key
	return i.proveBound(w, r, v)
}

// refreshBound gives a bound browser its next proof. Without a signature it hands
// out a challenge.
func (i *Identity) refreshBound(w http.ResponseWriter, r *http.Request) error {
	v, err := i.cookieHolder(r)
	if err != nil {
		return err
	}
	defer v.key.Wipe()
	// A room that nobody was in for ten minutes stays closed, whatever the browser signs.
	if len(v.Bound) == 0 || i.Now().After(time.UnixMilli(v.Proved).Add(proofLasts+time.Minute)) {
		return web.JSON(w, http.StatusOK, map[string]any{"session_identifier": string(v.ID), "continue": false})
	}
	token := r.Header.Get("Secure-Session-Response")
	if token == "" {
		challenge, err := i.challenge(r.Context(), v)
		if err != nil {
			return err
		}
		w.Header().Set("Secure-Session-Challenge", `"`+challenge+`";id="`+string(v.ID)+`"`)
		w.WriteHeader(http.StatusForbidden)
		return nil
	}
	t, err := readToken(token)
	if err != nil {
		return i.notBound(r)
	}
	if ok, err := i.challenged(r.Context(), v, t); err != nil || !ok || !t.signedBy(v.Bound) {
		return errors.Join(err, i.notBound(r))
	}
	return i.proveBound(w, r, v)
}

func (i *Identity) notBound(r *http.Request) error {
	i.refuse(r.Context(), "binding")
	return errNotThisBrowser
}

// cookieHolder finds the session of the first cookie alone: the second is what is asked for.
func (i *Identity) cookieHolder(r *http.Request) (*visit, error) {
	cookie := cookieBytes(r, web.SessionCookie)
	if cookie == nil {
		return nil, errNotThisBrowser
	}
	defer clear(cookie)
	v, err := i.sessionOf(r.Context(), cookie)
	if errors.Is(err, web.ErrNoSession) {
		return nil, errNotThisBrowser
	}
	return v, err
}

// challenged spends the challenge that a token answers.
func (i *Identity) challenged(ctx context.Context, v *visit, t *token) (bool, error) {
	challenge, err := base64.RawURLEncoding.DecodeString(t.challenge)
	if err != nil || len(challenge) != 32 {
		return false, nil
	}
	owner, err := i.kept.take(ctx, keptChallenge, secretKey("bind", challenge), i.Now())
	if errors.Is(err, errGone) {
		return false, nil
	}
	return string(owner) == v.name, err
}

// proveBound gives the browser a proof that is good from where it asks, and says
// what the browser has to know of the binding.
func (i *Identity) proveBound(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Place = place(r)
	if err := i.prove(r.Context(), w, v); err != nil {
		return err
	}
	origin, _, err := i.origin(r)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{
		"session_identifier": string(v.ID),
		"refresh_url":        refreshPath,
		"scope":              map[string]any{"origin": origin, "include_site": false, "scope_specification": []any{}},
		"credentials":        []any{map[string]string{"type": "cookie", "name": web.ProofCookie, "attributes": "Path=/; Secure; HttpOnly; SameSite=Strict"}},
	})
}

// place is where a request comes from: network and browser, as one hash. Behind a
// proxy all networks are one.
func place(r *http.Request) []byte {
	sum := sha256.Sum256([]byte(network(r) + "\x00" + r.UserAgent()))
	return sum[:]
}

// errMoved means that a bound session is used from elsewhere.
var errMoved = fmt.Errorf("%w here: it is bound to another place", web.ErrNoSession)

// moved tells whether a bound session is used from elsewhere than it was proved from.
func (s session) moved(r *http.Request) bool {
	return len(s.Bound) > 0 && !bytes.Equal(s.Place, place(r))
}

// token is the JSON Web Signature of a browser (RFC 7515, ES256).
type token struct {
	key       []byte // an uncompressed point, of a registration
	challenge string
	message   []byte
	signature []byte
}

var errToken = errors.New("identity: not a token of a bound session")

func readToken(text string) (*token, error) {
	parts := strings.Split(text, ".")
	if len(text) > 4096 || len(parts) != 3 {
		return nil, errToken
	}
	var head struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
		JWK struct{ Crv, X, Y string }
	}
	var body struct {
		JTI string `json:"jti"`
	}
	for k, to := range []any{&head, &body} {
		b, err := base64.RawURLEncoding.DecodeString(parts[k])
		if err != nil || json.Unmarshal(b, to) != nil {
			return nil, errToken
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 || head.Alg != "ES256" || head.Typ != "dbsc+jwt" {
		return nil, errToken
	}
	t := &token{challenge: body.JTI, message: []byte(parts[0] + "." + parts[1]), signature: signature}
	if head.JWK.Crv == "P-256" {
		x, errX := base64.RawURLEncoding.DecodeString(head.JWK.X)
		y, errY := base64.RawURLEncoding.DecodeString(head.JWK.Y)
		if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
			return nil, errToken
		}
		t.key = append(append([]byte{4}, x...), y...)
	}
	return t, nil
}

func (t *token) signedBy(key []byte) bool {
	return seal.SignPublic(key).VerifyES256(t.message, t.signature)
}
