// Package authenticator is a passkey made of software, and a browser around it:
// for drills and tests, which play the person at the other end of the wire. It
// protects nothing and is never part of a sign-in of a real person.
//
// A Device answers as a hardware key does: ES256, discoverable, with user
// verification, a counter, and a PRF (WebAuthn Level 3, 10.1.4, over CTAP 2.1
// hmac-secret). Its fields bend it, for the attacks.
package authenticator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Device holds passkeys.
type Device struct {
	Unverified bool   // it does not recognise its person: the UV flag stays off
	Keyless    bool   // it has no PRF
	Origin     string // what it takes the address bar to say, whatever its browser says

	mu       sync.Mutex
	passkeys []*passkey
}

type passkey struct {
	id      []byte
	rpID    string
	user    []byte
	private *ecdsa.PrivateKey
	secret  [32]byte // of the PRF
	counter uint32
}

// Answer is what a browser gets from the device: the credential to post, and
// the two outputs of the PRF, which are not in it.
type Answer struct {
	Credential    map[string]any
	First, Second []byte
}

// ErrUnknown means that the device has no passkey for what was asked.
var ErrUnknown = errors.New("authenticator: no passkey for this")

type options struct {
	Challenge string `json:"challenge"`
	RPID      string `json:"rpId"`
	RP        struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Allow []struct {
		ID string `json:"id"`
	} `json:"allowCredentials"`
	Extensions struct {
		PRF struct {
			Eval struct {
				First  string `json:"first"`
				Second string `json:"second"`
			} `json:"eval"`
		} `json:"prf"`
	} `json:"extensions"`
}

// Flags of authenticator data (WebAuthn Level 3, 6.1).
const (
	present    = 1 << 0
	verified   = 1 << 2
	attested   = 1 << 6
	withOutput = present | attested
)

// Create makes a passkey for the options that a house sent.
func (d *Device) Create(origin string, publicKey json.RawMessage) (Answer, error) {
	var o options
	if err := json.Unmarshal(publicKey, &o); err != nil {
		return Answer{}, fmt.Errorf("creation options: %w", err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Answer{}, err
	}
	user, err := decode(o.User.ID)
	if err != nil {
		return Answer{}, err
	}
	p := &passkey{id: make([]byte, 16), rpID: o.RP.ID, user: user, private: private}
	rand.Read(p.id)
	rand.Read(p.secret[:])
	d.mu.Lock()
	d.passkeys = append(d.passkeys, p)
	d.mu.Unlock()

	point, err := private.PublicKey.Bytes()
	if err != nil {
		return Answer{}, err
	}
	data := slices.Concat(d.header(p, withOutput), make([]byte, 16), binary.BigEndian.AppendUint16(nil, uint16(len(p.id))), p.id, coseKey(point))
	object := slices.Concat([]byte{0xa3}, cborText("fmt"), cborText("none"), cborText("attStmt"), []byte{0xa0}, cborText("authData"), cborBytes(data))
	a := d.outputs(p, o)
	a.Credential = credential(p, map[string]any{
		"clientDataJSON": encode(clientData("webauthn.create", o.Challenge, origin)), "attestationObject": encode(object), "transports": []string{"internal"},
	}, map[string]any{"prf": map[string]bool{"enabled": !d.Keyless}})
	return a, nil
}

// Get signs the options that a house sent, with the first passkey that fits.
func (d *Device) Get(origin string, publicKey json.RawMessage) (Answer, error) {
	var o options
	if err := json.Unmarshal(publicKey, &o); err != nil {
		return Answer{}, fmt.Errorf("request options: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.find(o)
	if p == nil {
		return Answer{}, ErrUnknown
	}
	p.counter++
	data := d.header(p, present)
	if d.Origin != "" {
		origin = d.Origin
	}
	client := clientData("webauthn.get", o.Challenge, origin)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(slices.Concat(data, hash[:]))
	signature, err := ecdsa.SignASN1(rand.Reader, p.private, digest[:])
	if err != nil {
		return Answer{}, err
	}
	a := d.outputs(p, o)
	a.Credential = credential(p, map[string]any{
		"clientDataJSON": encode(client), "authenticatorData": encode(data), "signature": encode(signature), "userHandle": encode(p.user),
	}, map[string]any{})
	return a, nil
}

func (d *Device) find(o options) *passkey {
	for _, p := range d.passkeys {
		allowed := len(o.Allow) == 0
		for _, a := range o.Allow {
			allowed = allowed || a.ID == encode(p.id)
		}
		if allowed && p.rpID == o.RPID {
			return p
		}
	}
	return nil
}

// Clone copies the device with its counters, as a thief of it would.
func (d *Device) Clone() *Device {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &Device{}
	for _, p := range d.passkeys {
		c.passkeys = append(c.passkeys, new(*p))
	}
	return c
}

// Forge replaces the private keys, and keeps what anybody may know: id, person,
// house; and the counter goes ahead.
func (d *Device) Forge() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.passkeys {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		p.private, p.counter = private, 1<<20
	}
	return nil
}

// Blank replaces the secrets of the PRF.
func (d *Device) Blank() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.passkeys {
		rand.Read(p.secret[:])
	}
}

// Rename gives the passkeys ids that no house knows.
func (d *Device) Rename() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.passkeys {
		p.id = make([]byte, 16)
		rand.Read(p.id)
	}
}

// Elsewhere says that the device's passkeys belong to another house.
func (d *Device) Elsewhere(rpID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.passkeys {
		p.rpID = rpID
	}
}

// header is the fixed part of authenticator data.
func (d *Device) header(p *passkey, flags byte) []byte {
	if !d.Unverified {
		flags |= verified
	}
	rp := sha256.Sum256([]byte(p.rpID))
	return binary.BigEndian.AppendUint32(append(rp[:], flags), p.counter)
}

// outputs evaluates the PRF: the browser hashes each input behind a fixed
// prefix, the device answers with an HMAC of it under the passkey's secret.
func (d *Device) outputs(p *passkey, o options) (a Answer) {
	if d.Keyless {
		return a
	}
	return Answer{First: p.prf(o.Extensions.PRF.Eval.First), Second: p.prf(o.Extensions.PRF.Eval.Second)}
}

func (p *passkey) prf(input string) []byte {
	b, err := decode(input)
	if err != nil || len(b) == 0 {
		return nil
	}
	salt := sha256.Sum256(append([]byte("WebAuthn PRF\x00"), b...))
	mac := hmac.New(sha256.New, p.secret[:])
	mac.Write(salt[:])
	return mac.Sum(nil)
}

func credential(p *passkey, response, extensions map[string]any) map[string]any {
	return map[string]any{"id": encode(p.id), "rawId": encode(p.id), "type": "public-key", "authenticatorAttachment": "platform",
		"response": response, "clientExtensionResults": extensions}
}

func clientData(kind, challenge, origin string) []byte {
	b, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false})
	if err != nil {
		panic(err) // plain strings
	}
	return b
}

// coseKey writes an ES256 public key (RFC 9053, 7.1.1) from an uncompressed point.
func coseKey(point []byte) []byte {
	return slices.Concat([]byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21}, cborBytes(point[1:33]), []byte{0x22}, cborBytes(point[33:]))
}

func cborText(s string) []byte { return append([]byte{0x60 | byte(len(s))}, s...) }

func cborBytes(b []byte) []byte {
	if len(b) < 256 {
		return append([]byte{0x58, byte(len(b))}, b...)
	}
	return append(binary.BigEndian.AppendUint16([]byte{0x59}, uint16(len(b))), b...)
}

func encode(b []byte) string          { return base64.RawURLEncoding.EncodeToString(b) }
func decode(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
