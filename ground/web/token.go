package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"mime"
	"net/http"
)

// TokenField and TokenHeader carry the form token of a request that changes
// something. Forms get the field by themselves; scripts read the token from
// <meta name="form-token"> and send the header.
const (
	TokenField  = "_token"
	TokenHeader = "X-Form-Token"
)

// errStaleForm is what a person reads when the token of a form does not fit.
var errStaleForm = &Error{
	Status: http.StatusForbidden,
	Text:   "This page is older than your session, so nothing was changed.",
	Fix:    "Load the page again and repeat the step.",
}

// formToken is the token that every changing request of this session must
// carry. It is bound to the session cookie, which a page of another site can
// neither read nor set; without a cookie there is nothing to protect.
func formToken(r *http.Request) string {
	c, err := r.Cookie(SessionCookie)
	if err != nil || c.Value == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(c.Value))
	mac.Write([]byte("quietroom form v1"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// guardOrigin lets a changing request pass when it comes from our own page. What
// it refuses is not logged: any page of the world can cause it, without end.
func (m *Mux) guardOrigin(r *http.Request) error {
	if reads(r) || m.origin.Check(r) == nil {
		return nil
	}
	return &Error{Status: http.StatusForbidden, Text: "This came from another site, so nothing was changed.", Fix: "Open the page here and repeat the step.", Back: "/"}
}

// guardForm lets a changing request pass when it carries its session's token. It
// reads a form into memory and at most the first part of an upload, never
// anything to disk; of somebody without a session it takes little.
func (m *Mux) guardForm(r *http.Request) error {
	if reads(r) {
		return nil
	}
	limit := int64(strangerLimit)
	if visitOf(r).signed {
		limit = formLimit
	}
	r.Body = &body{ReadCloser: r.Body, limit: limit, left: limit}
	want := visitOf(r).token
	given, err := m.givenToken(r)
	if err != nil {
		return err
	}
	if want != "" && !byBrowser(r) && !hmac.Equal([]byte(given), []byte(want)) {
		return errStaleForm
	}
	return nil
}

// byBrowser tells that the browser itself asks, to bind a session to its computer
// (Device Bound Session Credentials). It knows no form, and another site's page
// can set neither header: the one is forbidden to scripts, and the other one needs
// a permission that this house never gives.
func byBrowser(r *http.Request) bool {
	return r.Header.Get("Sec-Secure-Session-Id") != "" || r.Header.Get("Secure-Session-Response") != ""
}

// givenToken is the token that the request carries, wherever it carries it.
func (m *Mux) givenToken(r *http.Request) (string, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "multipart/form-data":
		return openParts(r)
	case "application/x-www-form-urlencoded":
		if err := r.ParseForm(); err != nil {
			return "", unreadable(err)
		}
		if t := r.Header.Get(TokenHeader); t != "" {
			return t, nil
		}
		return r.PostForm.Get(TokenField), nil
	}
	return r.Header.Get(TokenHeader), nil
}
