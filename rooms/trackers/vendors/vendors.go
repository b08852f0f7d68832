// Package vendors says who a host is, and what the parameters of the best-known
// trackers mean.
//
// Two sources: rules.json, our own and tested, for the trackers of the
// enforcement cases; and the list of third-party-web (MIT, see NOTICE) for the
// rest. Who is in neither is listed as unknown: that is said, not hidden.
package vendors

import (
	_ "embed"
	"encoding/json"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"

	"quietroom/rooms/trackers/leak"
)

//go:embed rules.json
var rulesJSON []byte

//go:embed third-party-web.json
var entitiesJSON []byte

// Made and Listed are the days of the two sources.
const (
	Made   = "2026-11-25" // rules.json
	Listed = "2026-11-25" // third-party-web 0.30.0, as taken
)

// Vendor is who stands behind a host. The zero Vendor is unknown.
type Vendor struct {
	Name     string // "Meta (Facebook)"; empty: unknown
	Owner    string
	Category string // ad, analytics, replay, marketing, social, tag-manager, customer-success, cdn, hosting, utility, video, forms, booking, monitoring, ...
	rule     *rule
}

// Known tells whether anybody has a name for it.
func (v Vendor) Known() bool { return v.Name != "" }

// Watches tells whether the vendor's business is to know visitors.
func (v Vendor) Watches() bool {
	return slices.Contains([]string{"ad", "analytics", "replay", "marketing", "social", "tag-manager", "customer-success"}, v.Category)
}

type rule struct {
	Name, Owner, Category string
	Hosts                 []string
	Like                  *struct {
		Path  string
		Query []string
	}
	Cookies []string
	Params  map[string]string

	like *regexp.Regexp
}

type entity struct {
	Name, Company, Category string
	Domains                 []string
}

type book struct {
	rules   []*rule
	byHost  map[string]*rule // host or host/path
	domains map[string]*entity
}

// read reads both sources once: they are built in, and cannot be broken but by us.
var read = sync.OnceValue(func() *book {
	b := &book{byHost: map[string]*rule{}, domains: map[string]*entity{}}
	var own struct{ Rules []*rule }
	if err := json.Unmarshal(rulesJSON, &own); err != nil {
		panic(err)
	}
	b.rules = own.Rules
	for _, r := range b.rules {
		for _, h := range r.Hosts {
			b.byHost[h] = r
		}
		if r.Like != nil {
			r.like = regexp.MustCompile(r.Like.Path)
		}
	}
	var all []*entity
	if err := json.Unmarshal(entitiesJSON, &all); err != nil {
		panic(err)
	}
	for _, e := range all {
		for _, d := range e.Domains {
			b.domains[strings.TrimPrefix(d, "*.")] = e
		}
	}
	return b
})

// Of names the vendor behind an address.
func Of(u *url.URL) Vendor {
	b, host := read(), strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	for h := range upwards(host) {
		for _, key := range []string{h + "/" + first, h} {
			if r, ok := b.byHost[key]; ok {
				return Vendor{r.Name, r.Owner, r.Category, r}
			}
		}
	}
	for h := range upwards(host) {
		if e, ok := b.domains[h]; ok {
			owner := e.Company
			if owner == "" {
				owner = e.Name
			}
			return Vendor{e.Name, owner, e.Category, nil}
		}
	}
	return Vendor{}
}

// upwards yields a.b.c, b.c and c.
func upwards(host string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for more := true; more && yield(host); {
			_, host, more = strings.Cut(host, ".")
		}
	}
}

// Speaks tells whose language a request is in, whatever host it goes to: a
// tracker may be passed on through the site's own address.
func Speaks(u *url.URL, parts []leak.Part) Vendor {
	has := map[string]bool{}
	for _, p := range parts {
		has[p.Key] = true
	}
	for _, r := range read().rules {
		if r.like == nil || !r.like.MatchString(u.Path) {
			continue
		}
		if !slices.ContainsFunc(r.Like.Query, func(k string) bool { return !has[k] }) {
			return Vendor{r.Name, r.Owner, r.Category, r}
		}
	}
	return Vendor{}
}

// Fact is one thing that a request says in its vendor's own words.
type Fact struct{ Means, Key, Value string }

// Decode reads what the parts of a request mean to its vendor.
func (v Vendor) Decode(parts []leak.Part) []Fact {
	if v.rule == nil {
		return nil
	}
	var all []Fact
	for _, p := range parts {
		if means := v.means(p.Key); means != "" && p.Value != "" {
			all = append(all, Fact{means, p.Key, p.Value})
		}
	}
	return all
}

// means looks a key up: by itself, or by a pattern such as cd[*] and ep.*
func (v Vendor) means(key string) string {
	if m := v.rule.Params[key]; m != "" {
		return m
	}
	for pattern, m := range v.rule.Params {
		if before, after, ok := strings.Cut(pattern, "*"); ok && len(key) > len(before)+len(after) && strings.HasPrefix(key, before) && strings.HasSuffix(key, after) {
			return m
		}
	}
	return ""
}

// Cookie names the vendor that a cookie belongs to, by its name.
func Cookie(name string) Vendor {
	for _, r := range read().rules {
		for _, c := range r.Cookies {
			before, open := strings.CutSuffix(c, "*")
			if c == name || open && strings.HasPrefix(name, before) || c == "_ga" && strings.HasPrefix(name, "_ga_") {
				return Vendor{r.Name, r.Owner, r.Category, r}
			}
		}
	}
	return Vendor{}
}

// Site is the part of a host that one party rents: "example.co.uk" of
// "www.example.co.uk". A host without one is a party by itself.
func Site(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if s, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return s
	}
	return host
}
