package trackers

import (
	"bufio"
	"io"
	"strings"
)

// hostList is the part of a list in the form of EasyPrivacy that names whole
// hosts: "||tracker.example^". Rules with paths and conditions are left out, for
// they say what to block and not who somebody is. The user brings the list; none
// is built in, because of their licences.
type hostList map[string]bool

// mostListed bounds what is read of a list.
const mostListed = 16 << 20

func readList(r io.Reader) (hostList, error) {
	l := hostList{}
	lines := bufio.NewScanner(io.LimitReader(r, mostListed))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "||")
		if !ok {
			continue
		}
		host, options, _ := strings.Cut(rest, "^")
		if host == "" || strings.ContainsAny(host, "/*") || options != "" && options != "$third-party" && options != "$popup,third-party" {
			continue
		}
		l[strings.ToLower(host)] = true
	}
	return l, lines.Err()
}

// has tells whether a host, or what it belongs to, is listed.
func (l hostList) has(host string) bool {
	for more := len(l) > 0; more; {
		if l[host] {
			return true
		}
		_, host, more = strings.Cut(host, ".")
	}
	return false
}
