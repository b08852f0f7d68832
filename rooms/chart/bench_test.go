package chart_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

func benchHouse(b *testing.B) *house {
	h := newHouse(b)
	ctx := h.as("rivera")
	batch, err := h.vault.Begin(ctx)
	h.must(err)
	for i := range 3000 {
		_, err := batch.Admit(ctx, layer.Card{Family: fmt.Sprintf("Name%04d", i), Given: "Kim", Born: "1990-04-05", Phones: []string{fmt.Sprint(5030000000 + i)}, Safe: layer.SafeContact{Words: "Text only"}, Care: []id.Team{h.rivera}})
		h.must(err)
	}
	h.must(batch.Commit(ctx))
	return h
}

// numbered waits for nothing: it numbers all facts, as the sequencer of a served house does.
func (h *house) numbered() {
	for n := 1; n > 0; {
		var err error
		n, err = h.ledger.Sequence(h.t.Context())
		h.must(err)
	}
}

func serve(b *testing.B, h *house, r *http.Request) {
	h.numbered()
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.Clone(r.Context()))
		if w.Code != 200 {
			b.Fatal(w.Code, w.Body)
		}
	}
}

func BenchmarkAPatientList(b *testing.B) {
	h := benchHouse(b)
	serve(b, h, h.request("rivera", "GET", "/patients", nil))
}

func BenchmarkAListSearch(b *testing.B) {
	h := benchHouse(b)
	b.ReportAllocs()
	for b.Loop() {
		w := h.send(h.request("rivera", "POST", "/patients/find", map[string][]string{"q": {"name12 kim"}}))
		if w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}

func BenchmarkOpeningAChart(b *testing.B) {
	h := benchHouse(b)
	p := h.sam()
	h.records(p)
	for range 40 {
		h.write("rivera", p, "dap", "sign", map[string]string{"data": strings.Repeat("words ", 100)})
	}
	serve(b, h, h.request("rivera", "GET", page(p), nil))
}

// Sixteen people over HTTP on loopback; they share the processors with the house.
func BenchmarkAPatientListOverHTTP(b *testing.B) {
	h := benchHouse(b)
	h.numbered()
	s := httptest.NewServer(h)
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var mu sync.Mutex
	var took []time.Duration
	b.SetParallelism(16 / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		var mine []time.Duration
		for pb.Next() {
			r, _ := http.NewRequest("GET", s.URL+"/patients", nil)
			r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: "rivera"})
			start := time.Now()
			res, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != 200 {
				b.Error(res.Status)
			}
			mine = append(mine, time.Since(start))
		}
		mu.Lock()
		took = append(took, mine...)
		mu.Unlock()
	})
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
