package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/web"
)

// ceremonyLasts is how long a challenge may be answered.
const ceremonyLasts = 2 * time.Minute

// What a ceremony is for.
const (
	toSignIn = "sign-in"
	toTap    = "tap"
	toAdd    = "add"
	toClaim  = "claim"
	toJoin   = "join"
	toSend   = "send" // no passkey: a code's parts are sealed to it
)

// ceremony is what is kept between a challenge and its answer. It is taken once.
type ceremony struct {
	For     string               `json:"for"`
	Private []byte               `json:"private"` // see seal.Ceremony
	Data    webauthn.SessionData `json:"data"`
	Person  id.Person            `json:"person,omitempty"`
	Session id.Session           `json:"session,omitempty"`
	Door    string               `json:"door,omitempty"` // the door that is being made
	Act     string               `json:"act,omitempty"`
	Object  string               `json:"object,omitempty"`

	id string
}

// question is what the browser gets to answer.
type question struct {
	Ceremony  string `json:"ceremony"`
	Seal      []byte `json:"seal,omitempty"`      // what secrets are sealed to on their way here
	PublicKey any    `json:"publicKey,omitempty"` // options of WebAuthn
	Nonce     []byte `json:"nonce,omitempty"`     // of a tap
	Demo      bool   `json:"demo,omitempty"`      // a demo session needs no passkey for a tap
}

// reply is the browser's answer. What a key can be made of travels in Box only.
type reply struct {
	Ceremony   string          `json:"ceremony"`
	Credential json.RawMessage `json:"credential,omitempty"`
	Box        []byte          `json:"box,omitempty"`
	Key        []byte          `json:"key,omitempty"`       // what this browser will renew its session with
	Label      string          `json:"label,omitempty"`     // of a new door
	Pass       string          `json:"pass,omitempty"`      // of somebody who comes back with the kit
	Signature  []byte          `json:"signature,omitempty"` // the kit's, over the entry it was given
}

// ask keeps a ceremony and returns the question of it.
func (i *Identity) ask(ctx context.Context, c ceremony) (question, error) {
	ephemeral, err := seal.NewCeremony()
	if err != nil {
		return question{}, err
	}
	c.Private = ephemeral.Bytes()
	defer clear(c.Private)
	c.id = string(id.New[id.Record]())
	b, err := json.Marshal(c)
	if err != nil {
		return question{}, err
	}
	defer clear(b)
	kind := keptCeremony
	if fromFriend(ctx) {
		kind = keptFriend
	}
	if err := i.kept.put(ctx, kind, c.id, b, i.Now().Add(ceremonyLasts)); err != nil {
		return question{}, err
	}
	return question{Ceremony: c.id, Seal: ephemeral.Public()}, nil
}

// answer reads a reply and takes its ceremony, which is then spent.
func (i *Identity) answer(r *http.Request, what string) (reply, *ceremony, error) {
	var in reply
	if err := web.ReadJSON(r, &in); err != nil {
		return in, nil, err
	}
	if id.Check(in.Ceremony) != nil {
		return in, nil, errTorn
	}
	b, err := i.kept.take(r.Context(), keptFriend, in.Ceremony, i.Now())
	if errors.Is(err, errGone) {
		b, err = i.kept.take(r.Context(), keptCeremony, in.Ceremony, i.Now())
	}
	if errors.Is(err, errGone) {
		i.refuse(r.Context(), "late")
		return in, nil, errLate
	}
	if err != nil {
		return in, nil, err
	}
	defer clear(b)
	c := &ceremony{id: in.Ceremony}
	if err := json.Unmarshal(b, c); err != nil {
		return in, nil, fmt.Errorf("read a ceremony: %w", err)
	}
	if c.For != what {
		return in, nil, errLate
	}
	if v := visitFrom(r.Context()); c.Session != "" && (v == nil || v.ID != c.Session) {
		return in, nil, errLate
	}
	return in, c, nil
}

// open opens what the browser sealed for this ceremony, of exactly n bytes.
func (c *ceremony) open(box []byte, n int) ([]byte, error) {
	if len(box) == 0 {
		return nil, errNoKey
	}
	ephemeral, err := seal.CeremonyFrom(c.Private)
	if err != nil {
		return nil, err
	}
	plain, err := ephemeral.Open(c.id, box)
	if err != nil || len(plain) != n {
		clear(plain)
		return nil, errTorn
	}
	return plain, nil
}
