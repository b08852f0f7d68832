package web

import (
	"net/http"
	"net/url"
	"strings"
)

// unlockPath is where a person without a session is sent.
const unlockPath = "/unlock"

// Next returns where the person wanted to go before the room was closed: the
// field "next" of the address or the form, if it is a path of this house, else "/".
func Next(r *http.Request) string {
	next := r.FormValue("next")
	if !local(next) || next == unlockPath || strings.HasPrefix(next, unlockPath+"/") {
		return "/"
	}
	return next
}

// nextQuery is the query that brings a person back to where they wanted to go.
// The address's own query is left out: it may say what somebody looked for.
func nextQuery(u *url.URL) string {
	path := u.EscapedPath()
	if path == "/" || !local(path) {
		return ""
	}
	return "?next=" + url.QueryEscape(path)
}

// local tells whether s is a plain path of this house: no host hidden in it, no
// way up, no query, nothing that a browser would read differently than we do.
func local(s string) bool {
	if len(s) == 0 || len(s) > 512 || s[0] != '/' || strings.HasPrefix(s, "//") {
		return false
	}
	for _, c := range []byte(s) {
		// Browsers read a backslash as a slash and drop tabs and line breaks.
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`\?#<>"`, c) >= 0 {
			return false
		}
	}
	plain, err := url.PathUnescape(s)
	if err != nil || strings.HasPrefix(plain, "//") || strings.ContainsAny(plain, "\\\r\n\t\x00") {
		return false
	}
	for part := range strings.SplitSeq(plain, "/") {
		if part == ".." || part == "." {
			return false
		}
	}
	return true
}
