package backfill

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// workDir is the working directory of a run. It holds a segment of the output for
// each metric, and a journal. A segment may be longer than its size in the journal;
// a run that resumes truncates it.
type workDir struct {
	journal
	output, dir string
	lock        *os.File
	segments    map[string]*os.File
	sizes       map[string]int64 // of the segments, also unsaved
}

// journal records the finished steps.
type journal struct {
	// Settings are the settings of the first run.
	Settings []setting `json:"settings"`
	// Done is the number of finished steps.
	Done int `json:"done"`
	// Samples is the number of samples in the segments.
	Samples int `json:"samples"`
	// Sizes are the sizes of the segments in bytes after these steps.
	Sizes map[string]int64 `json:"sizes"`
}

const (
	journalName   = "journal.json"
	segmentSuffix = ".segment"
	assembledName = "assembled"
)

// openWorkDir creates the working directory of an output, or reopens it.
func openWorkDir(output string, settings []setting, resume bool) (w *workDir, err error) {
	if err := checkAbsent(output); err != nil {
		return nil, err
	}
	w = &workDir{
		journal: journal{Settings: settings, Sizes: map[string]int64{}}, output: output, dir: output + ".partial",
		segments: map[string]*os.File{}, sizes: map[string]int64{},
	}
	open := w.create
	if resume {
		open = w.reopen
	}
	if err := open(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// create creates the directory with an empty journal.
func (w *workDir) create() error {
	err := os.Mkdir(w.dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists, from a run that did not finish: continue it with --resume, or remove it", w.dir)
	}
	if err != nil {
		return fmt.Errorf("creating the working directory: %w", err)
	}
	if err := w.acquire(); err != nil {
		return err
	}
	if err := w.save(); err != nil {
		return errors.Join(err, w.remove())
	}
	return nil
}

func checkAbsent(output string) error {
	_, err := os.Lstat(output)
	if err == nil {
		return fmt.Errorf("--output %s exists: name another file, or remove it", output)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--output: %w", err)
	}
	return nil
}

// acquire locks the directory against other runs. The lock ends with the process.
func (w *workDir) acquire() (err error) {
	w.lock, err = os.Open(w.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s to resume: start without --resume", w.dir)
	}
	if err != nil {
		return fmt.Errorf("opening the working directory: %w", err)
	}
	if err := lock(w.lock); err != nil {
		return fmt.Errorf("locking %s: another run may be using it: wait until it ends: %w", w.dir, err)
	}
	return nil
}

// reopen reads the journal and truncates the segments to the sizes in it.
func (w *workDir) reopen() error {
	if err := w.acquire(); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(w.dir, journalName))
	saved := journal{Sizes: map[string]int64{}}
	if err == nil {
		err = json.Unmarshal(text, &saved)
	}
	if err != nil {
		return fmt.Errorf("reading the journal: %w: remove %s and start again without --resume", err, w.dir)
	}
	for i, current := range w.Settings {
		var before setting
		if i < len(saved.Settings) {
			before = saved.Settings[i]
		}
		if before != current {
			return fmt.Errorf("%s was started with %s, not with %s: use the same settings, or remove it and start again without --resume", w.dir, before, current)
		}
	}
	w.journal = saved
	return w.truncate()
}

// truncate makes the segments match the journal.
func (w *workDir) truncate() error {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return fmt.Errorf("restoring the finished steps: %w", err)
	}
	for _, entry := range entries {
		// A segment that is not in the journal was created after the last save.
		if name, isSegment := strings.CutSuffix(entry.Name(), segmentSuffix); isSegment && w.Sizes[name] == 0 {
			if err := os.Remove(filepath.Join(w.dir, entry.Name())); err != nil {
				return fmt.Errorf("restoring the finished steps: %w", err)
			}
		}
	}
	for name, size := range w.Sizes {
		if err := w.truncateSegment(name, size); err != nil {
			return fmt.Errorf("restoring the finished steps: %w", err)
		}
	}
	return nil
}

// truncateSegment truncates a segment to its size in the journal.
func (w *workDir) truncateSegment(name string, size int64) error {
	segment, err := w.segment(name)
	if err != nil {
		return err
	}
	info, err := segment.Stat()
	if err != nil {
		return err
	}
	if info.Size() < size {
		return fmt.Errorf("%s has %d bytes, but %d in the journal: remove %s and start again without --resume", segment.Name(), info.Size(), size, w.dir)
	}
	w.sizes[name] = size
	return segment.Truncate(size)
}

// String returns a setting for error messages.
func (s setting) String() string { return fmt.Sprintf("%s %q", s.Name, s.Value) }

// segment returns the open segment of a metric.
func (w *workDir) segment(name string) (*os.File, error) {
	if w.segments[name] == nil {
		segment, err := os.OpenFile(filepath.Join(w.dir, name+segmentSuffix), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		if err != nil {
			return nil, fmt.Errorf("opening a segment: %w", err)
		}
		w.segments[name] = segment
	}
	return w.segments[name], nil
}

// add appends the samples of a step. After an error, add and save must not be called
// again.
func (w *workDir) add(families []family) error {
	for _, f := range families {
		segment, err := w.segment(f.name)
		if err != nil {
			return err
		}
		text := f.lines
		if w.sizes[f.name] == 0 {
			text = slices.Concat(f.head, f.lines)
		}
		if _, err := segment.Write(text); err != nil {
			return fmt.Errorf("writing a segment: %w", err)
		}
		w.sizes[f.name] += int64(len(text))
		w.Samples += f.samples
	}
	w.Done++
	return nil
}

// save writes all added steps to disk: first the segments, then the journal.
func (w *workDir) save() error {
	for _, segment := range w.segments {
		if err := segment.Sync(); err != nil {
			return fmt.Errorf("saving a segment: %w", err)
		}
	}
	w.Sizes = maps.Clone(w.sizes)
	text, err := json.Marshal(w.journal)
	if err != nil {
		return fmt.Errorf("saving the journal: %w", err)
	}
	path := filepath.Join(w.dir, journalName)
	if err := writeFile(path+".new", func(f *os.File) error { _, err := f.Write(text); return err }); err != nil {
		return fmt.Errorf("saving the journal: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("saving the journal: %w", err)
	}
	if err := syncDir(w.lock); err != nil {
		return fmt.Errorf("saving the journal: %w", err)
	}
	return nil
}

// writeFile creates a file and writes it to disk.
func writeFile(path string, write func(*os.File) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// publish assembles the output from the segments, and removes the working directory.
func (w *workDir) publish() error {
	assembled := filepath.Join(w.dir, assembledName)
	err := writeFile(assembled, func(f *os.File) error {
		for _, name := range slices.Sorted(maps.Keys(w.sizes)) {
			if _, err := io.Copy(f, io.NewSectionReader(w.segments[name], 0, w.sizes[name])); err != nil {
				return err
			}
		}
		_, err := f.WriteString("# EOF\n")
		return err
	})
	if err != nil {
		return fmt.Errorf("assembling the output: %w", err)
	}
	if err := checkAbsent(w.output); err != nil { // it may have been created during the run
		return err
	}
	if err := os.Rename(assembled, w.output); err != nil {
		return fmt.Errorf("renaming the output: %w", err)
	}
	parent, err := os.Open(filepath.Dir(w.output))
	if err != nil {
		return fmt.Errorf("renaming the output: %w", err)
	}
	defer parent.Close()
	if err := syncDir(parent); err != nil {
		return fmt.Errorf("renaming the output: %w", err)
	}
	return w.remove()
}

// close closes all files, and keeps the directory.
func (w *workDir) close() {
	for _, segment := range w.segments {
		segment.Close()
	}
	if w.lock != nil {
		w.lock.Close()
	}
}

// remove removes the working directory.
func (w *workDir) remove() error {
	w.close()
	if err := os.RemoveAll(w.dir); err != nil {
		return fmt.Errorf("removing the working directory: %w", err)
	}
	return nil
}
