package main

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"quietroom/ground/store"
)

func TestZZCount(t *testing.T) {
	dir := os.Getenv("ZZ")
	if dir == "" {
		t.Skip()
	}
	to := t.TempDir()
	if err := takeHouse(t.Context(), dir, to); err != nil {
		t.Fatal(err)
	}
	t0 := time.Now()
	db, _ := store.Open(t.Context(), to+"/whole.db")
	l, err := gather(context.Background(), to, db)
	db.Close()
	fmt.Println(err, time.Since(t0))
	n := map[string]int{}
	for _, at := range l.at {
		n[at]++
	}
	fmt.Println(n)
	t0 = time.Now()
	r, err := rob(t.Context(), to, nil)
	fmt.Println(time.Since(t0), err, r.doors.Tries, r.records.Tries, r.records.Records)
}
