package trackers

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"quietroom/rooms/trackers/vendors"
)

// party is the owner's side of the site: which hosts are theirs.
type party struct {
	visit []string // hosts, with port where it is not the usual one, whose pages may be opened
	sites []string // what they rent

	cloaked map[string]string // hosts that look like theirs and are another's name -> whose
}

func newParty(start *url.URL, more []string) party {
	p := party{}
	for _, h := range append([]string{start.Host}, more...) {
		h = strings.TrimSuffix(strings.ToLower(h), ".")
		p.visit = append(p.visit, h)
		if bare, ok := strings.CutPrefix(h, "www."); ok {
			p.visit = append(p.visit, bare)
		} else if name, _ := split(h); !isIP(name) {
			p.visit = append(p.visit, "www."+h)
		}
		p.sites = append(p.sites, site(h))
	}
	return p
}

// site is what one party has. On one machine several parties may stand side by
// side, so there the port counts too where the name alone says nothing.
func site(host string) string {
	name, _ := split(strings.ToLower(host))
	if isIP(name) || name == "localhost" {
		return strings.ToLower(host)
	}
	return vendors.Site(name)
}

func split(host string) (name, port string) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return strings.Trim(host, "[]"), ""
	}
	return name, port
}

func isIP(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// own tells whether a host is the owner's.
func (p party) own(host string) bool {
	name, _ := split(strings.ToLower(host))
	return p.cloaked[name] == "" && slices.Contains(p.sites, site(host))
}

// visits tells whether pages of a host may be opened. The name alone is enough
// where a port is not said, as in a certificate.
func (p party) visits(host string) bool {
	host = strings.ToLower(host)
	if slices.Contains(p.visit, host) {
		return true
	}
	return !strings.Contains(host, ":") && slices.ContainsFunc(p.visit, func(v string) bool { name, _ := split(v); return name == host })
}

// vendor names who stands behind an address; behind a cloaked one, who it stands for.
func (p party) vendor(u *url.URL) vendors.Vendor {
	if to := p.cloaked[strings.ToLower(u.Hostname())]; to != "" {
		return vendors.Of(&url.URL{Host: to, Path: u.Path})
	}
	return vendors.Of(u)
}
