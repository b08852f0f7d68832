package webtest

import (
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// Authenticator is a virtual one, built into the tab's computer.
type Authenticator struct {
	tab *Tab
	id  webauthn.AuthenticatorID
}

// Abilities of an authenticator. Every one of them is resident and present.
type Abilities struct {
	PRF      bool // yields keys, as the vault needs
	Unproven bool // does not verify its person: no fingerprint, no PIN
}

// Authenticator gives the tab a virtual authenticator.
func (b *Tab) Authenticator(a Abilities) *Authenticator {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		b.t.Fatalf("turn on virtual authenticators: %v", err)
	}
	made, err := chromedp.Call(b.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol:                    webauthn.AuthenticatorProtocolCtap2,
		Ctap2version:                webauthn.Ctap2versionCtap21,
		Transport:                   webauthn.AuthenticatorTransportInternal,
		HasResidentKey:              true,
		HasUserVerification:         true,
		AutomaticPresenceSimulation: true,
		IsUserVerified:              !a.Unproven,
		HasPrf:                      a.PRF,
	}})
	if err != nil {
		b.t.Fatalf("add an authenticator: %v", err)
	}
	return &Authenticator{b, made.AuthenticatorID}
}

// Credentials are the passkeys it holds, with their private keys and counters.
func (a *Authenticator) Credentials() []*webauthn.Credential {
	a.tab.t.Helper()
	got, err := chromedp.Call(a.tab.ctx, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id})
	if err != nil {
		a.tab.t.Fatalf("read the passkeys: %v", err)
	}
	return got.Credentials
}

// Add puts a passkey into it, as a thief who cloned one would.
func (a *Authenticator) Add(c *webauthn.Credential) {
	a.tab.t.Helper()
	if _, err := chromedp.Call(a.tab.ctx, webauthn.AddCredential, webauthn.AddCredentialParams{AuthenticatorID: a.id, Credential: c}); err != nil {
		a.tab.t.Fatalf("add a passkey: %v", err)
	}
}

// Verifies says whether its person is recognised from now on.
func (a *Authenticator) Verifies(ok bool) {
	a.tab.t.Helper()
	if _, err := chromedp.Call(a.tab.ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: ok}); err != nil {
		a.tab.t.Fatalf("set user verification: %v", err)
	}
}

// Remove takes it away: the phone fell into the sea.
func (a *Authenticator) Remove() {
	a.tab.t.Helper()
	if _, err := chromedp.Call(a.tab.ctx, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: a.id}); err != nil {
		a.tab.t.Fatalf("remove the authenticator: %v", err)
	}
}
