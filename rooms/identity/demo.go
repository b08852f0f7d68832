package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// demos are the links by which a newcomer tries a made-up house as one of its
// people. The codes behind them lie in memory, as long as the house is served.
type demos struct {
	mu     sync.Mutex
	byLink map[string]demo
}

type demo struct {
	handle string // "owner-1"
	code   seal.Code
}

// DemoLink returns the path of a page that opens a made-up house as the person
// of this code. In a real house it panics: nobody's code is held in memory there.
func (i *Identity) DemoLink(handle string, code seal.Code) (path string) {
	if !i.MadeUp {
		panic("identity: a demo link in a real house")
	}
	i.demos.mu.Lock()
	defer i.demos.mu.Unlock()
	if i.demos.byLink == nil {
		i.demos.byLink = map[string]demo{}
	}
	link := rand.Text()
	i.demos.byLink[link] = demo{handle, code}
	return "/demo/enter/" + link
}

func (i *Identity) demoAt(link string) (demo, error) {
	i.demos.mu.Lock()
	defer i.demos.mu.Unlock()
	d, ok := i.demos.byLink[link]
	if !ok {
		return d, &web.Error{Status: http.StatusNotFound, Text: "This link belongs to a demo that has ended.", Fix: "The terminal that serves the demo shows the links of this one."}
	}
	return d, nil
}

type demoPage struct {
	Link, Handle, Name string
	Roles              []string
}

// showDemo shows whose room it is, and changes nothing.
func (i *Identity) showDemo(w http.ResponseWriter, r *http.Request) error {
	d, err := i.demoAt(r.PathValue("token"))
	if err != nil {
		return err
	}
	p, err := i.personByCode(r.Context(), d.code)
	if err != nil {
		return err
	}
	name, err := i.Name(r.Context(), p)
	if err != nil {
		return err
	}
	roster, err := i.Roster(r.Context())
	if err != nil {
		return err
	}
	who, _ := roster.Person(string(p))
	return i.pages.Show(w, r, "demo", web.View{Title: "Try the demo", Bare: true, Class: "middle", Scripts: []string{script},
		Data: demoPage{r.PathValue("token"), d.handle, name, roleWords(who.Roles)}})
}

// enterDemo opens a session with the code behind the link.
func (i *Identity) enterDemo(w http.ResponseWriter, r *http.Request) error {
	link := r.PathValue("token")
	d, err := i.demoAt(link)
	if err != nil {
		return err
	}
	ctx := r.Context()
	u, err := i.UnlockCode(ctx, d.code.Auth(), d.code.KEK())
	if err != nil {
		return i.closed(ctx, err)
	}
	defer u.Wipe()
	o := opening{demo: link, with: "demo"}
	if b, err := fromBase64(r.PostFormValue("key")); err == nil && len(b) > 0 {
		o.key = b
	}
	if _, err := i.begin(w, r, u, o, func(tx *store.Tx, a id.Actor) error { return i.tellCodeUsed(ctx, tx, a, u.Door) }); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/")
}

// demoUnlock opens the seed of a demo session for a tap.
func (i *Identity) demoUnlock(ctx context.Context, v *visit) (*Unlocked, error) {
	d, err := i.demoAt(v.Demo)
	if err != nil {
		return nil, err
	}
	u, err := i.UnlockCode(ctx, d.code.Auth(), d.code.KEK())
	if err != nil {
		return nil, i.closed(ctx, err)
	}
	if u.Person != v.Person {
		u.Wipe()
		return nil, errors.Join(ErrForged, errTampered)
	}
	return u, nil
}
