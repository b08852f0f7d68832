package web

import "net/http"

// policy is the Content-Security-Policy of everything: our own scripts, style,
// pictures and addresses, nobody's frame, no string that becomes a script.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// permissions keeps every sensor shut, and leaves the passkeys to us.
const permissions = "publickey-credentials-get=(self), publickey-credentials-create=(self), " +
	"camera=(), microphone=(), geolocation=(), display-capture=(), usb=(), serial=(), bluetooth=(), hid=(), payment=(), browsing-topics=()"

// secure sets the headers that every answer carries. Static files replace the
// Cache-Control; nothing else does.
func secure(h http.Header, overTLS bool) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Permissions-Policy", permissions)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if overTLS {
		h.Set("Strict-Transport-Security", "max-age=63072000")
	}
}
