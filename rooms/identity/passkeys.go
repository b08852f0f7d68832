package identity

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// What people read when a door stays closed. It says nothing that a stranger
// could learn from: not whether a person, a passkey or a code is known here.
var (
	errTorn     = &web.Error{Status: http.StatusBadRequest, Text: "This answer arrived torn, so nothing was changed.", Fix: "Try again."}
	errLate     = &web.Error{Status: http.StatusForbidden, Text: "This took longer than two minutes, or was answered before.", Fix: "Try again: each question is answered once."}
	errNoEntry  = &web.Error{Status: http.StatusForbidden, Text: "This did not open the room.", Fix: "Try again with a passkey that was made for this house, or use another way in."}
	errCloned   = &web.Error{Status: http.StatusForbidden, Text: "This passkey seems to exist twice: its counter went backwards. It was refused, and the refusal was written down.", Fix: "Come in another way, and tell the owner of the practice."}
	errNoKey    = &web.Error{Status: http.StatusForbidden, Text: "This passkey proved who you are, but it gives no key, so it cannot open records.", Fix: "Use a hardware security key, another phone or computer, or your printed code."}
	errTampered = &web.Error{Status: http.StatusInternalServerError, Text: "The list of people and keys was changed from outside. Nothing is opened.", Fix: "Nothing is lost. Tell whoever looks after the server; the newest backup holds the true list."}
)

// prfInputs are the two inputs that every passkey of this product is asked for,
// in the same ceremony. The output of the second never leaves the browser.
func prfInputs() protocol.PRFValues {
	first, second := sha256.Sum256([]byte(seal.PRFLabels.First)), sha256.Sum256([]byte(seal.PRFLabels.Second))
	return protocol.PRFValues{First: first[:], Second: second[:]}
}

// relying is this house as a passkey sees it.
func (i *Identity) relying(r *http.Request) (*webauthn.WebAuthn, error) {
	origin, host, err := i.origin(r)
	if err != nil {
		return nil, err
	}
	name := i.PracticeName(r.Context())
	if name == "" {
		name = "Quietroom"
	}
	required := true
	return webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: name, RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &required, ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		// The clock that ends a ceremony is the kept row's.
		Timeouts: webauthn.TimeoutsConfig{
			Login:        webauthn.TimeoutConfig{Timeout: ceremonyLasts, TimeoutUVD: ceremonyLasts},
			Registration: webauthn.TimeoutConfig{Timeout: ceremonyLasts, TimeoutUVD: ceremonyLasts},
		},
	})
}

// origin is where browsers find the house. A house on localhost may be served on
// any port, but on its own only: no other machine can pretend to be localhost,
// another program on this one can.
func (i *Identity) origin(r *http.Request) (origin, host string, err error) {
	u, err := url.Parse(i.Origin)
	if err != nil {
		return "", "", fmt.Errorf("the house's own address: %w", err)
	}
	if u.Host != "" && u.Hostname() != "localhost" {
		return u.Scheme + "://" + u.Host, u.Hostname(), nil
	}
	asked, port := r.Host, "80"
	if name, p, err := net.SplitHostPort(asked); err == nil {
		asked, port = name, p
	}
	switch {
	case asked != "localhost" || port != u.Port() && !listensOn(r, port):
		return "http://localhost", "localhost", nil // an answer from elsewhere will not fit
	case r.TLS != nil:
		return "https://" + r.Host, "localhost", nil
	}
	return "http://" + r.Host, "localhost", nil
}

// listensOn tells whether a request came in on a port; true where that cannot be known.
func listensOn(r *http.Request, port string) bool {
	address, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return true
	}
	_, own, err := net.SplitHostPort(address.String())
	return err != nil || own == port // a socket file has no port
}

// passkeyHolder is a person as go-webauthn wants to see one. The user handle is
// the opaque id.
type passkeyHolder struct {
	person      id.Person
	name        string
	credentials []webauthn.Credential
}

func (h passkeyHolder) WebAuthnID() []byte                         { return []byte(h.person) }
func (h passkeyHolder) WebAuthnName() string                       { return h.name }
func (h passkeyHolder) WebAuthnDisplayName() string                { return h.name }
func (h passkeyHolder) WebAuthnCredentials() []webauthn.Credential { return h.credentials }

// askToSignIn begins a sign-in. Nobody is named: the passkey knows its person.
func (i *Identity) askToSignIn(w http.ResponseWriter, r *http.Request) error {
	wa, err := i.relying(r)
	if err != nil {
		return err
	}
	options, data, err := wa.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired),
		webauthn.WithAssertionExtensions(webauthn.WithExtensionPRF(prfInputs())))
	if err != nil {
		return fmt.Errorf("begin a sign-in: %w", err)
	}
	q, err := i.ask(r.Context(), ceremony{For: toSignIn, Data: *data})
	if err != nil {
		return err
	}
	q.PublicKey = options.Response
	return web.JSON(w, http.StatusOK, q)
}

// signIn opens a session with a passkey's answer.
func (i *Identity) signIn(w http.ResponseWriter, r *http.Request) error {
	in, c, err := i.answer(r, toSignIn)
	if err != nil {
		return err
	}
	u, used, err := i.openPasskey(r, in, c)
	if err != nil {
		return err
	}
	defer u.Wipe()
	_, err = i.begin(w, r, u, opening{key: in.Key, with: "passkey"}, func(tx *store.Tx, _ id.Actor) error {
		return used.write(r.Context(), tx, i.Now())
	})
	if err != nil {
		return err
	}
	if err := i.enrol(w, r, u.Person); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, struct{}{})
}

// usedPasskey is a passkey whose assertion was checked.
type usedPasskey struct {
	door     string
	person   id.Person
	was, now []byte // its record, before and after
}

// write remembers the new counter. Of two answers with the same counter one
// stands: the other reads as a copy.
func (p *usedPasskey) write(ctx context.Context, tx *store.Tx, at time.Time) error {
	res, err := tx.ExecContext(ctx, `UPDATE identity_doors SET credential = $1, used = $2 WHERE door = $3 AND credential = $4`, p.now, at.UnixMilli(), p.door, p.was)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errLate, err)
	}
	return nil
}

// openPasskey checks an assertion, then opens the seed with what the passkey's
// PRF gave. Both are needed: the check guards against replay and copies, the
// PRF is the key.
func (i *Identity) openPasskey(r *http.Request, in reply, c *ceremony) (*Unlocked, *usedPasskey, error) {
	used, err := i.checkAssertion(r, in, c)
	if err != nil {
		return nil, nil, err
	}
	first, err := c.open(in.Box, 32)
	if err != nil {
		return nil, nil, err
	}
	defer clear(first)
	u, err := i.unlockPasskey(r.Context(), used.door, first)
	if err != nil {
		return nil, nil, i.closed(r.Context(), err)
	}
	return u, used, nil
}

// closed turns an error of a door into what a person reads.
func (i *Identity) closed(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, ErrNoDoor):
		i.refuse(ctx, "no-door")
		return errNoEntry
	case errors.Is(err, ErrForged):
		e := *errTampered
		e.Err = err
		return &e
	}
	return err
}

func (i *Identity) checkAssertion(r *http.Request, in reply, c *ceremony) (*usedPasskey, error) {
	ctx := r.Context()
	parsed, err := protocol.ParseCredentialRequestResponseBytes(in.Credential)
	if err != nil {
		i.refuse(ctx, "torn")
		return nil, errTorn
	}
	used := &usedPasskey{}
	holder, err := i.holderOf(ctx, parsed.RawID, used)
	if errors.Is(err, ErrNoDoor) {
		i.refuse(ctx, "unknown-passkey")
		return nil, errNoEntry
	}
	if err != nil {
		return nil, err
	}
	wa, err := i.relying(r)
	if err != nil {
		return nil, err
	}
	var credential *webauthn.Credential
	if c.For == toTap {
		if used.person != c.Person {
			return nil, errNoEntry
		}
		// The question allowed all of the person's passkeys, so all have to be the holder's.
		if holder, err = i.passkeysOf(ctx, c.Person); err != nil {
			return nil, err
		}
		credential, err = wa.ValidateLogin(holder, c.Data, parsed)
	} else {
		_, credential, err = wa.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
			return holder, nil // ValidatePasskeyLogin compares the handle with the holder's
		}, c.Data, parsed)
	}
	if err != nil {
		i.refuse(ctx, "assertion")
		return nil, errNoEntry
	}
	if credential.Authenticator.CloneWarning {
		return nil, i.tellCloned(ctx, used)
	}
	used.now, err = json.Marshal(credential)
	return used, err
}

func (i *Identity) holderOf(ctx context.Context, credentialID []byte, used *usedPasskey) (passkeyHolder, error) {
	var h passkeyHolder
	err := i.DB.QueryRowContext(ctx, `SELECT door, person, credential FROM identity_doors WHERE credential_id = $1`, credentialID).Scan(&used.door, &used.person, &used.was)
	if errors.Is(err, sql.ErrNoRows) {
		return h, ErrNoDoor
	}
	if err != nil {
		return h, fmt.Errorf("find a passkey: %w", err)
	}
	h.person = used.person
	h.credentials = make([]webauthn.Credential, 1)
	if err := json.Unmarshal(used.was, &h.credentials[0]); err != nil {
		return h, fmt.Errorf("read passkey %s: %w", used.door, err)
	}
	return h, nil
}

// passkeysOf returns a person with all passkeys.
func (i *Identity) passkeysOf(ctx context.Context, p id.Person) (passkeyHolder, error) {
	h := passkeyHolder{person: p}
	var err error
	if h.name, err = i.Name(ctx, p); err != nil {
		return h, err
	}
	rows, err := i.DB.QueryContext(ctx, `SELECT credential FROM identity_doors WHERE person = $1 AND kind = $2`, p, passkeyDoor)
	if err != nil {
		return h, fmt.Errorf("read passkeys of %s: %w", p, err)
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		var c webauthn.Credential
		if err := rows.Scan(&b); err != nil {
			return h, fmt.Errorf("read passkeys of %s: %w", p, err)
		}
		if err := json.Unmarshal(b, &c); err != nil {
			return h, fmt.Errorf("read passkeys of %s: %w", p, err)
		}
		h.credentials = append(h.credentials, c)
	}
	return h, rows.Err()
}

// credentialsOf reads the passkeys among the doors that a newcomer made.
func credentialsOf(doors []offeredDoor) (all []webauthn.Credential, err error) {
	for _, d := range doors {
		if d.Kind != passkeyDoor {
			continue
		}
		var c webauthn.Credential
		if err := json.Unmarshal(d.Credential, &c); err != nil {
			return nil, fmt.Errorf("read passkey %s: %w", d.ID, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// askToRegister begins the making of a passkey. ES256 first; RS256 because
// Windows Hello has computers that know nothing else.
func (i *Identity) askToRegister(w http.ResponseWriter, r *http.Request, h passkeyHolder, c ceremony) error {
	wa, err := i.relying(r)
	if err != nil {
		return err
	}
	var have []protocol.CredentialDescriptor
	for _, known := range h.credentials {
		have = append(have, known.Descriptor())
	}
	options, data, err := wa.BeginRegistration(h, webauthn.WithExclusions(have),
		webauthn.WithCredentialParameters([]protocol.CredentialParameter{
			{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
			{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
		}),
		webauthn.WithExtensions(webauthn.WithExtensionPRF(prfInputs())))
	if err != nil {
		return fmt.Errorf("begin a registration: %w", err)
	}
	c.Data, c.Door = *data, string(id.New[id.Record]())
	q, err := i.ask(r.Context(), c)
	if err != nil {
		return err
	}
	q.PublicKey = options.Response
	return web.JSON(w, http.StatusOK, q)
}

// newPasskey checks a new passkey, and makes a door of it that fits the seed.
// A passkey without a key is refused here: nothing half-made is kept.
func (i *Identity) newPasskey(r *http.Request, in reply, c *ceremony, h passkeyHolder, seed seal.Seed) (door, error) {
	parsed, err := protocol.ParseCredentialCreationResponseBytes(in.Credential)
	if err != nil {
		return door{}, errTorn
	}
	wa, err := i.relying(r)
	if err != nil {
		return door{}, err
	}
	made, err := wa.CreateCredential(h, c.Data, parsed)
	if err != nil {
		i.refuse(r.Context(), "registration")
		return door{}, &web.Error{Status: http.StatusForbidden, Text: "This passkey could not be checked, so it was not taken.", Fix: "Try again; the passkey has to ask for your finger, face or PIN."}
	}
	first, err := c.open(in.Box, 32)
	if err != nil {
		return door{}, err
	}
	defer clear(first)
	made.Attestation = webauthn.CredentialAttestation{} // none is asked for, and none is kept
	record, err := json.Marshal(made)
	if err != nil {
		return door{}, err
	}
	return i.passkeyDoor(h.person, seed, c.Door, first, label(in.Label, "Passkey"), made.ID, record)
}

// tellCloned writes down that a passkey exists twice, and refuses it. Only
// somebody who holds the passkey's private key gets here.
func (i *Identity) tellCloned(ctx context.Context, used *usedPasskey) error {
	err := i.DB.Update(ctx, func(tx *store.Tx) error {
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Kind: "identity.cloned-passkey", Subject: string(used.person), Ref: used.door})
	})
	if err != nil {
		return err
	}
	return errCloned
}
