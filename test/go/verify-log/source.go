package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// errMissing says that the log has no such resource, as opposed to one that can't be read just now.
var errMissing = errors.New("is missing")

// A source gives the resources of a log by their path below its prefix, never more than limit bytes of one.
type source interface {
	read(path string, limit int64) ([]byte, error)
}

// A folder holds a downloaded log: the paths of tlog-tiles are file names in it.
type folder struct{ root string }

func (f folder) read(path string, limit int64) ([]byte, error) {
	file, err := os.Open(filepath.Join(f.root, filepath.FromSlash(path)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errMissing
	}
	if err != nil {
		return nil, errors.New("can't be opened")
	}
	defer file.Close()
	return readLimited(file, limit)
}

// A website serves the log over HTTP.
type website struct {
	prefix string
	token  string
	client *http.Client
}

func newWebsite(prefix, token string) *website {
	return &website{
		prefix: strings.TrimRight(prefix, "/"),
		token:  token,
		client: &http.Client{
			Timeout: 60 * time.Second,
			// A token must not follow a redirect to somebody else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

const attemptsMax = 3

func (w *website) read(path string, limit int64) ([]byte, error) {
	for attempt := 1; ; attempt++ {
		data, retry, err := w.get(path, limit)
		if err == nil || !retry || attempt == attemptsMax {
			return data, err
		}
		time.Sleep(time.Duration(attempt) * 500 * time.Millisecond)
	}
}

func (w *website) get(path string, limit int64) (data []byte, retry bool, err error) {
	request, err := http.NewRequest(http.MethodGet, w.prefix+"/"+path, nil)
	if err != nil {
		return nil, false, err
	}
	if w.token != "" {
		request.Header.Set("Authorization", "Bearer "+w.token)
	}
	response, err := w.client.Do(request)
	if err != nil {
		return nil, true, fmt.Errorf("can't be read: %w", err)
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotFound:
		return nil, false, errMissing
	case response.StatusCode != http.StatusOK:
		retry := response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests
		return nil, retry, fmt.Errorf("can't be read: the server answers %s", response.Status)
	}
	data, err = readLimited(response.Body, limit)
	return data, err != nil, err
}

func readLimited(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("can't be read to its end: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("is longer than %d bytes", limit)
	}
	return data, nil
}
