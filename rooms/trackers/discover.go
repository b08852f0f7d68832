package trackers

import (
	"bufio"
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"quietroom/rooms/trackers/chrome"
)

// agent is how the scan names itself where it asks outside of the browser, and
// the name under which a robots.txt may speak to it.
const agent = "Quietroom"

// robots are a site's rules for visitors like the scan (RFC 9309).
type robots struct {
	rules []rule
	delay time.Duration
	maps  []string
}

type rule struct {
	allow bool
	path  string
}

// mostDelay is how long a site may ask the scan to wait between pages.
const mostDelay = 10 * time.Second

// readRobots reads the groups for us, or else those for everybody.
func readRobots(r io.Reader) robots {
	var ours, all robots
	named, mine, everybody, inRules := false, false, false, true
	var maps []string
	lines := bufio.NewScanner(io.LimitReader(r, 500<<10))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		switch key {
		case "user-agent":
			if inRules {
				mine, everybody, inRules = false, false, false
			}
			mine = mine || strings.EqualFold(value, agent)
			everybody = everybody || value == "*"
			named = named || strings.EqualFold(value, agent)
		case "sitemap":
			maps = append(maps, value)
		case "allow", "disallow", "crawl-delay":
			inRules = true
			for _, g := range []struct {
				on bool
				to *robots
			}{{mine, &ours}, {everybody, &all}} {
				if !g.on {
					continue
				}
				if key == "crawl-delay" {
					if s, err := strconv.ParseFloat(value, 64); err == nil && s > 0 {
						g.to.delay = min(time.Duration(s*float64(time.Second)), mostDelay)
					}
				} else if value != "" {
					g.to.rules = append(g.to.rules, rule{key == "allow", value})
				}
			}
		}
	}
	if named {
		ours.maps = maps
		return ours
	}
	all.maps = maps
	return all
}

// allows tells whether a page may be visited: the longest rule that fits decides,
// and allow wins where two are as long.
func (r robots) allows(u *url.URL) bool {
	at, best, allowed := u.EscapedPath(), -1, true
	if u.RawQuery != "" {
		at += "?" + u.RawQuery
	}
	for _, rule := range r.rules {
		if !fitsRule(rule.path, at) {
			continue
		}
		if len(rule.path) > best || len(rule.path) == best && rule.allow {
			best, allowed = len(rule.path), rule.allow
		}
	}
	return allowed
}

func fitsRule(pattern, at string) bool {
	ends := strings.HasSuffix(pattern, "$")
	pieces := strings.Split(strings.TrimSuffix(pattern, "$"), "*")
	if !strings.HasPrefix(at, pieces[0]) {
		return false
	}
	rest := at[len(pieces[0]):]
	for _, p := range pieces[1:] {
		i := strings.Index(rest, p)
		if i < 0 {
			return false
		}
		rest = rest[i+len(p):]
	}
	return !ends || rest == "" || strings.HasSuffix(pattern, "*$")
}

// frontier is what is left to visit, the most telling pages first.
type frontier struct {
	party  party
	robots robots
	queue  []target
	known  map[string]bool
	shapes map[string]int
	barred int // pages that robots.txt asks to leave alone
}

type target struct {
	url   *url.URL
	kind  string
	named bool // somebody asked for it
	alike bool // others like it were found before: it comes last
	n     int
}

// Bounds of what is remembered of a site: it may have 10,000 links, or make new
// ones for ever.
const (
	mostTargets = 2000
	mostAlike   = 3 // pages whose addresses differ in numbers or queries only
)

func newFrontier(p party, r robots) *frontier {
	return &frontier{party: p, robots: r, known: map[string]bool{}, shapes: map[string]int{}}
}

// noPage are names of files that are no pages.
var noPage = []string{".pdf", ".jpg", ".jpeg", ".png", ".gif", ".svg", ".webp", ".zip", ".mp3", ".mp4", ".doc", ".docx", ".ics", ".xml", ".json", ".css", ".js", ".rss", ".gz"}

// add offers a page. Words are those of the link, or of the page's title.
func (f *frontier) add(address, words string, named bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || !f.party.visits(u.Host) {
		return
	}
	if !strings.HasPrefix(u.Fragment, "/") && !strings.HasPrefix(u.Fragment, "!") {
		u.Fragment = "" // a place in a page, and no page of its own
	}
	if u.Path == "" {
		u.Path = "/"
	}
	key := u.Host + strings.TrimSuffix(u.Path, "/") + "?" + u.RawQuery + "#" + u.Fragment
	if f.known[key] || len(f.known) > mostTargets && !named {
		return
	}
	f.known[key] = true
	if slices.Contains(noPage, strings.ToLower(path.Ext(u.Path))) {
		return
	}
	if leaves(u) {
		return
	}
	if !f.robots.allows(u) && !named {
		f.barred++
		return
	}
	shape := changing.ReplaceAllString(numbers.ReplaceAllString(u.Path, "#"), "#")
	f.shapes[shape]++
	f.queue = append(f.queue, target{u, kindOf(u, "", words), named, f.shapes[shape] > mostAlike, len(f.known)})
}

// leaves tells addresses that end a session or change something.
func leaves(u *url.URL) bool {
	p := strings.ToLower(u.Path + "?" + u.RawQuery)
	for _, w := range []string{"logout", "signout", "log-out", "sign-out", "unsubscribe", "delete", "add-to-cart", "wp-admin", "wp-login.php?action=logout"} {
		if strings.Contains(p, w) {
			return true
		}
	}
	return false
}

var numbers = regexp.MustCompile(`\d+`)

// next takes the most telling page.
func (f *frontier) next() (target, bool) {
	if len(f.queue) == 0 {
		return target{}, false
	}
	best := 0
	for i, t := range f.queue {
		b := f.queue[best]
		if t.named != b.named {
			if t.named {
				best = i
			}
			continue
		}
		if t.alike != b.alike {
			if b.alike {
				best = i
			}
			continue
		}
		if worth(t.kind) < worth(b.kind) || worth(t.kind) == worth(b.kind) && t.n < b.n {
			best = i
		}
	}
	t := f.queue[best]
	f.queue = slices.Delete(f.queue, best, best+1)
	return t, true
}

// site's own words about itself, asked for politely and in small amounts.
type asker struct {
	client *http.Client
	party  party
}

// get reads a small file of the owner's own host. Redirects are followed only to
// the owner's own hosts.
func (a asker) get(ctx context.Context, address string) (status int, header http.Header, body []byte, err error) {
	for range 4 {
		u, err := url.Parse(address)
		if err != nil || !a.party.visits(u.Host) {
			return 0, nil, nil, errElsewhere
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return 0, nil, nil, err
		}
		req.Header.Set("User-Agent", "Mozilla/5.0 (compatible; "+agent+" site scan, asked for by the site’s owner)")
		res, err := a.client.Do(req)
		if err != nil {
			return 0, nil, nil, err
		}
		body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		res.Body.Close()
		if err != nil {
			return 0, nil, nil, err
		}
		if to := res.Header.Get("Location"); to != "" && res.StatusCode/100 == 3 {
			next, err := u.Parse(to)
			if err != nil {
				return 0, nil, nil, err
			}
			address = next.String()
			continue
		}
		return res.StatusCode, res.Header, body, nil
	}
	return 0, nil, nil, errElsewhere
}

// sitemap reads the addresses of a site's own list, and of lists in it.
func (a asker) sitemap(ctx context.Context, address string, deep int, yield func(string)) {
	status, _, body, err := a.get(ctx, address)
	if err != nil || status != http.StatusOK {
		return
	}
	var m struct {
		URL []struct {
			Loc string `xml:"loc"`
		} `xml:"url"`
		Map []struct {
			Loc string `xml:"loc"`
		} `xml:"sitemap"`
	}
	if xml.Unmarshal(body, &m) != nil {
		return
	}
	for _, u := range m.URL[:min(len(m.URL), mostTargets)] {
		yield(strings.TrimSpace(u.Loc))
	}
	if deep > 0 {
		for _, s := range m.Map[:min(len(m.Map), 5)] {
			a.sitemap(ctx, strings.TrimSpace(s.Loc), deep-1, yield)
		}
	}
}

// offer adds what a page links to.
func (f *frontier) offer(v *chrome.Visit) {
	for _, l := range v.Links {
		f.add(l.URL, l.Text, false)
	}
}
