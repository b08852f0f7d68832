package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
)

// claimLasts is how long a link waits for the first owner.
const claimLasts = 30 * time.Minute

// claim is a link that founds the practice, and what was typed behind it so
// far. It is spent by the founding and by nothing else: a passkey that failed,
// a closed browser and a lost network leave it as it was.
type claim struct {
	Practice string    `json:"practice"`
	Name     string    `json:"name"`
	Mail     string    `json:"mail"`
	Person   id.Person `json:"person"`
	Ends     int64     `json:"ends"`
}

// ClaimLink returns the token of a link, /claim/TOKEN, by which the first owner
// founds the practice: for 30 minutes, once. Only its hash is kept. ErrFounded
// when there is an owner already.
func (i *Identity) ClaimLink(ctx context.Context) (token string, err error) {
	if err := i.mayFound(ctx); err != nil {
		return "", err
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	c := claim{Person: id.New[id.Person](), Ends: i.Now().Add(claimLasts).UnixMilli()}
	if err := i.keepClaim(ctx, secretKey("claim", secret), c); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(secret), nil
}

func (i *Identity) keepClaim(ctx context.Context, name string, c claim) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return i.kept.put(ctx, keptClaim, name, b, time.UnixMilli(c.Ends))
}

var (
	errClaimed   = &web.Error{Status: http.StatusGone, Text: "This practice has its owner already.", Fix: "If that is you, open the room with your passkey.", Back: "/unlock"}
	errClaimOver = &web.Error{Status: http.StatusNotFound, Text: "This link has ended.", Fix: "Start the server again: it prints a new one, good for 30 minutes."}
)

// claimOf finds the claim of a request's link.
func (i *Identity) claimOf(r *http.Request) (name string, c claim, err error) {
	if i.Founded() {
		return "", c, errClaimed
	}
	secret, err := base64.RawURLEncoding.DecodeString(r.PathValue("token"))
	if err != nil || len(secret) != 32 {
		return "", c, errClaimOver
	}
	name = secretKey("claim", secret)
	b, err := i.kept.get(r.Context(), keptClaim, name, i.Now())
	if errors.Is(err, errGone) {
		i.refuse(r.Context(), "claim")
		return "", c, errClaimOver
	}
	if err != nil {
		return "", c, err
	}
	return name, c, json.Unmarshal(b, &c)
}

// Claimed tells whether a request's link (the path value "token") still founds
// the practice: for pages of other rooms that come before the founding. What it
// returns is for the person.
func (i *Identity) Claimed(r *http.Request) error {
	_, _, err := i.claimOf(r)
	return err
}

type claimPage struct {
	Token    string
	Practice string
	Name     string
	Mail     string
	Fault    string
}

func (i *Identity) showClaim(w http.ResponseWriter, r *http.Request) error {
	_, c, err := i.claimOf(r)
	if err != nil {
		return err
	}
	return i.claimNames(w, r, c, "")
}

func (i *Identity) claimNames(w http.ResponseWriter, r *http.Request, c claim, fault string) error {
	v := web.View{Title: "A new practice", Bare: true, Step: "1 of 4, about 6 minutes left", Data: claimPage{r.PathValue("token"), c.Practice, c.Name, c.Mail, fault}}
	if fault != "" {
		v.Status = http.StatusUnprocessableEntity
	}
	return i.pages.Show(w, r, "claim", v)
}

// nameClaim keeps the two names that a practice begins with.
func (i *Identity) nameClaim(w http.ResponseWriter, r *http.Request) error {
	name, c, err := i.claimOf(r)
	if err != nil {
		return err
	}
	c.Practice, c.Name, c.Mail = label(r.PostFormValue("practice"), ""), label(r.PostFormValue("name"), ""), label(r.PostFormValue("mail"), "")
	if c.Practice == "" || c.Name == "" {
		return i.claimNames(w, r, c, "Both names are needed. You can change them later.")
	}
	if c.Mail != "" && !strings.Contains(c.Mail, "@") {
		return i.claimNames(w, r, c, "This mail address has no @ in it. You may leave it out.")
	}
	if err := i.keepClaim(r.Context(), name, c); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/claim/"+r.PathValue("token")+"/passkey")
}

func (i *Identity) showClaimPasskey(w http.ResponseWriter, r *http.Request) error {
	_, c, err := i.claimOf(r)
	if err != nil {
		return err
	}
	if c.Name == "" {
		return web.SeeOther(w, r, "/claim/"+r.PathValue("token"))
	}
	return i.pages.Show(w, r, "claim-passkey", web.View{Title: "Your passkey", Bare: true, Step: "2 of 4, about 5 minutes left", Scripts: []string{script},
		Data: claimPage{Token: r.PathValue("token"), Practice: c.Practice, Name: c.Name}})
}

func (i *Identity) askToClaim(w http.ResponseWriter, r *http.Request) error {
	name, c, err := i.claimOf(r)
	if err != nil {
		return err
	}
	return i.askToRegister(w, r, passkeyHolder{person: c.Person, name: c.Name}, ceremony{For: toClaim, Person: c.Person, Object: name})
}

// claimHouse founds the practice with the first owner's passkey: directory,
// billing and the owner's own care team, all in one step. Then the owner is
// signed in. If the answer gets lost on its way, the passkey opens the room.
func (i *Identity) claimHouse(w http.ResponseWriter, r *http.Request) error {
	in, ask, err := i.answer(r, toClaim)
	if err != nil {
		return err
	}
	name, c, err := i.claimOf(r)
	if err != nil {
		return err
	}
	if ask.Object != name || ask.Person != c.Person {
		return errLate
	}
	n, err := i.Newcomer(c.Name, c.Mail, Clinician)
	if err != nil {
		return err
	}
	n.Person = c.Person
	d, err := i.newPasskey(r, in, ask, passkeyHolder{person: c.Person, name: c.Name}, n.seed)
	if err != nil {
		return err
	}
	n.doors = append(n.doors, d)
	u, err := i.foundOwn(r.Context(), c.Practice, n)
	if errors.Is(err, ErrFounded) {
		return errClaimed
	}
	if err != nil {
		return err
	}
	defer u.Wipe()
	if _, err := i.kept.take(r.Context(), keptClaim, name, i.Now()); err != nil && !errors.Is(err, errGone) {
		return err
	}
	if _, err := i.begin(w, r, u, opening{key: in.Key, with: "claim"}, nil); err != nil {
		return err
	}
	if err := i.enrol(w, r, u.Person); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, struct{}{})
}

func (i *Identity) foundOwn(ctx context.Context, practice string, n *Newcomer) (*Unlocked, error) {
	i.acts.Lock()
	defer i.acts.Unlock()
	return i.found(ctx, practice, n, firstTeam{kind: CareTeam, name: n.Name})
}
