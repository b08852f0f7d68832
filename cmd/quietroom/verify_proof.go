package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"quietroom/rooms/compliance/binder"
	"quietroom/rooms/trackers/chrome"
)

type verified = binder.Report

// verifyProof checks the binder in a file.
func verifyProof(path string) (verified, error) {
	f, err := os.Open(path)
	if err != nil {
		return verified{}, fmt.Errorf("open the binder: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return verified{}, err
	}
	if !info.Mode().IsRegular() {
		return verified{}, fmt.Errorf("%s is not a file", path)
	}
	r, err := binder.Verify(f, info.Size())
	if err != nil {
		return r, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return r, nil
}

// printPage makes a PDF with the Chromium of this machine. The page is our own,
// stands alone and forbids scripts; no patient is in it.
func printPage(ctx context.Context, html []byte) ([]byte, error) {
	browser, _, err := chrome.Find(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "quietroom-print-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	page, pdf := filepath.Join(dir, "binder.html"), filepath.Join(dir, "binder.pdf")
	if err := os.WriteFile(page, html, 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	args := []string{"--headless", "--disable-gpu", "--disable-extensions", "--disable-background-networking", "--no-first-run",
		"--user-data-dir=" + filepath.Join(dir, "profile"), "--no-pdf-header-footer", "--print-to-pdf=" + pdf, "file://" + page}
	if os.Geteuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...)
	}
	cmd := exec.CommandContext(ctx, browser, args...)
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("print with Chromium: %w", err)
	}
	out, err := os.ReadFile(pdf)
	if err != nil || len(out) < 1000 {
		return nil, errors.New("print with Chromium: nothing came out")
	}
	return out, nil
}
