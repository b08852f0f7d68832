package trackers

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Place is one way in which sites are made, with the steps to take something out.
type Place struct {
	Name  string
	Steps []string
	Here  bool // the scan saw that this site is made so, or uses it
}

// searched is what stands in a page where a vendor's script was put in by hand.
var searched = map[string]string{
	"Meta (Facebook)": "fbq( or connect.facebook.net", "Google Analytics": "gtag( or google-analytics.com", "Google Ads": "gtag('event', 'conversion' or AW-", "Google Tag Manager": "googletagmanager.com or GTM-",
	"TikTok": "ttq. or analytics.tiktok.com", "LinkedIn": "_linkedin_partner_id or snap.licdn.com", "Snapchat": "snaptr( or sc-static.net", "Pinterest": "pintrk( or pinimg.com", "X (Twitter)": "twq( or ads-twitter.com",
	"Reddit": "rdt( or redditstatic.com", "Microsoft Advertising (Bing)": "uetq or bat.bing.com", "Microsoft Clarity": "clarity( or clarity.ms", "Hotjar": "hj( or hotjar.com", "FullStory": "FS( or fullstory.com",
	"LogRocket": "LogRocket", "Mouseflow": "mouseflow", "Twilio Segment": "analytics.load( or segment.com", "Mixpanel": "mixpanel", "Amplitude": "amplitude", "HubSpot": "hs-scripts.com or hsforms.net",
	"Criteo": "criteo", "Taboola": "_tfa or taboola.com",
}

// TakeOut says how a receiver is taken out, by the way in which the site is made;
// what this site seems to be made with comes first.
func TakeOut(h Harm, r *Result) []Place {
	who := h.Who
	what := searched[who]
	if what == "" && len(h.Hosts) > 0 {
		what = h.Hosts[0]
	}
	after := "Come back here and press Look again: only a new scan shows that it is gone."
	all := []Place{
		{Name: "WordPress", Steps: []string{
			fmt.Sprintf("Plugins, Installed plugins: look for one that names %s, pixels, analytics or header and footer code. Deactivate it.", who),
			fmt.Sprintf("If none does: the theme’s settings, and a plugin such as “Insert Headers and Footers” or “WPCode”: look there for %s and remove it.", what),
			"Your form plugin may pass on what is typed (Settings, Integrations of the form): switch that off too.",
			"Empty the site’s cache. " + after}},
		{Name: "Squarespace", Steps: []string{
			fmt.Sprintf("Settings, Developer tools, Code injection: look for %s and remove it. The same in Pages, the page’s own settings, Advanced.", what),
			fmt.Sprintf("Settings, Third-party tools (or Marketing, Pinterest, Facebook pixel, External API keys): disconnect %s.", who),
			"Settings, Cookies and visitor data: switch off Squarespace analytics cookies if you do not need them. " + after}},
		{Name: "Wix", Steps: []string{
			fmt.Sprintf("Settings, Custom code: look for %s and remove it, for all pages.", what),
			fmt.Sprintf("Marketing and SEO, Marketing integrations: disconnect %s.", who),
			"Publish the site. " + after}},
		{Name: "Google Tag Manager", Steps: []string{
			fmt.Sprintf("tagmanager.google.com, your container, Tags: look for %s; the trigger says on which pages it fires.", who),
			"Open the tag’s menu, Delete (or Pause). Look through Variables for ones that read form fields, and delete them.",
			"Press Submit, Publish: without that nothing changes. " + after}},
		{Name: "By hand", Steps: []string{
			fmt.Sprintf("Open the page, right-click, View page source, and search for %s.", what),
			"Remove the whole <script> block around it, and <img> or <iframe> lines with the same address, in the template that all pages share.",
			after}},
	}
	for i := range all {
		all[i].Here = madeWith(all[i].Name, r)
	}
	slices.SortStableFunc(all, func(a, b Place) int {
		switch {
		case a.Here == b.Here:
			return 0
		case a.Here:
			return -1
		}
		return 1
	})
	return all
}

// madeWith tells whether a scan saw that a site is made with something.
func madeWith(name string, r *Result) bool {
	marks := map[string][]string{"WordPress": {"/wp-content/", "/wp-includes/", "/wp-json/"}, "Squarespace": {"squarespace"}, "Wix": {"wixstatic", "parastorage", "wix.com"}, "Google Tag Manager": {"googletagmanager"}}[name]
	for _, m := range marks {
		if slices.ContainsFunc(r.Receivers, func(x Receiver) bool { return strings.Contains(x.Host, m) }) || slices.ContainsFunc(r.MadeWith, func(s string) bool { return strings.Contains(s, m) }) {
			return true
		}
	}
	return false
}

// Letter is a text for whoever looks after the site.
func Letter(h Harm, at time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Hello,\n\na test of our web site on %s, with made-up data, showed this:\n\n%s\n\nPage: %s\nReceiver: %s (%s)\n", at.Format("January 2, 2006"), h.Sentence, h.Page, h.Who, strings.Join(h.Hosts, ", "))
	if len(h.Findings) > 0 {
		f := h.Findings[0]
		if u, err := url.Parse(f.URL); err == nil && u.Host != "" {
			fmt.Fprintf(&b, "Request: %s://%s%s\n", u.Scheme, u.Host, u.Path)
		}
		if len(f.Evidence.Scripts) > 0 {
			fmt.Fprintf(&b, "Script: %s\n", strings.Join(f.Evidence.Scripts, ", called by "))
		}
	}
	b.WriteString("\nPlease take it out of this page and of all others where visitors book, write to us, fill in a form or sign in, and tell me when that is done and since when it had been there. Please delete nothing else: we may need to know what was there. If this receiver is also told things by our server or by an uploaded list, please say so.\n\nI will have the site tested again afterwards.\n\nThank you\n")
	return b.String()
}
