package trackers

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"quietroom/rooms/trackers/chrome"
)

// harBody bounds what the archive keeps of one request's body.
const harBody = 64 << 10

type harNV struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// archive writes what was recorded as an HTTP archive (HAR 1.2), so that other
// tools can read the proof. Answers are kept without their content.
func archive(all []chrome.Exchange, pages map[int]*seen, r *Result) []byte {
	type post struct {
		MimeType string `json:"mimeType"`
		Text     string `json:"text"`
		Encoding string `json:"encoding,omitempty"`
	}
	type frame struct {
		Type   string  `json:"type"`
		Time   float64 `json:"time"`
		Opcode int     `json:"opcode"`
		Data   string  `json:"data"`
	}
	var entries []any
	for _, e := range all {
		ref := ""
		if p := pages[e.Mark.Visit]; p != nil {
			ref = p.URL
		}
		req := map[string]any{"method": e.Method, "url": e.URL.String(), "httpVersion": "HTTP/1.1", "headers": headers(e.Header), "cookies": []any{}, "queryString": query(e), "headersSize": -1, "bodySize": len(e.Body)}
		if len(e.Body) > 0 {
			body := e.Body[:min(len(e.Body), harBody)]
			p := post{MimeType: e.Header.Get("Content-Type"), Text: string(body)}
			if !utf8.Valid(body) {
				p.Text, p.Encoding = base64.StdEncoding.EncodeToString(body), "base64"
			}
			req["postData"] = p
		}
		res := map[string]any{"status": e.Status, "statusText": http.StatusText(e.Status), "httpVersion": "HTTP/1.1", "headers": headers(e.Answer), "cookies": []any{}, "redirectURL": e.Answer.Get("Location"),
			"headersSize": -1, "bodySize": e.Size, "content": map[string]any{"size": e.Size, "mimeType": e.Answer.Get("Content-Type")}}
		entry := map[string]any{"startedDateTime": e.At.UTC().Format(time.RFC3339Nano), "time": e.Took.Milliseconds(), "request": req, "response": res, "cache": map[string]any{},
			"timings": map[string]any{"send": 0, "wait": e.Took.Milliseconds(), "receive": 0}, "pageref": ref, "_number": e.N, "_stage": e.Mark.Stage, "_after_consent": e.Mark.Consent}
		if e.Refused != "" {
			entry["_refused"] = e.Refused
		}
		if e.Failed != "" {
			entry["comment"] = "not answered"
		}
		var frames []frame
		for _, f := range e.Frames {
			data, opcode := string(f.Data), 1
			if !utf8.Valid(f.Data) {
				data, opcode = base64.StdEncoding.EncodeToString(f.Data), 2
			}
			frames = append(frames, frame{"send", float64(f.At.UnixMilli()) / 1000, opcode, data})
		}
		if frames != nil {
			entry["_webSocketMessages"] = frames
		}
		entries = append(entries, entry)
	}
	var about []any
	for _, p := range r.Pages {
		about = append(about, map[string]any{"startedDateTime": r.Began.UTC().Format(time.RFC3339Nano), "id": p.URL, "title": p.Title, "pageTimings": map[string]any{}})
	}
	b, err := json.MarshalIndent(map[string]any{"log": map[string]any{"version": "1.2", "creator": map[string]any{"name": "Quietroom site scan", "version": "1"}, "browser": map[string]any{"name": r.Browser, "version": ""}, "pages": about, "entries": entries}}, "", " ")
	if err != nil {
		panic(fmt.Sprintf("strings and numbers became no JSON: %v", err))
	}
	return b
}

func headers(h http.Header) []harNV {
	all := []harNV{}
	for k, v := range h {
		all = append(all, harNV{k, strings.Join(v, ", ")})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

func query(e chrome.Exchange) []harNV {
	all := []harNV{}
	for k, values := range e.URL.Query() {
		for _, v := range values {
			all = append(all, harNV{k, v})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name+all[i].Value < all[j].Name+all[j].Value })
	return all
}
