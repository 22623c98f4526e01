package backfill

import (
	"crypto/sha256"
	"encoding/hex"
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
	// complete says that an earlier run has renamed the output already.
	complete bool
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
	// Output is the SHA-256 of the output, once it is assembled. A run that resumes
	// recognizes the output by it.
	Output string `json:"output,omitempty"`
}

const (
	journalName   = "journal.json"
	segmentSuffix = ".segment"
	assembledName = "assembled"
)

// openWorkDir creates the working directory of an output, or reopens it.
func openWorkDir(output string, settings []setting, resume bool) (w *workDir, err error) {
	w = &workDir{
		journal: journal{Settings: settings, Sizes: map[string]int64{}}, output: output, dir: output + ".partial",
		segments: map[string]*os.File{}, sizes: map[string]int64{},
	}
	err = checkAbsent(output)
	switch {
	case err != nil && resume:
		err = w.reopenComplete(err)
	case err != nil:
	case resume:
		err = w.reopen()
	default:
		err = w.create()
	}
	if err != nil {
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
	if err := w.readJournal(); err != nil {
		return err
	}
	return w.truncate()
}

// reopenComplete reopens the directory of a run that was killed between renaming its
// output and removing the directory. It returns exists if the output is another file.
func (w *workDir) reopenComplete(exists error) error {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return exists
	}
	if err := w.acquire(); err != nil {
		return err
	}
	if len(entries) == 0 { // the journal is removed last
		w.complete = true
		return nil
	}
	if err := w.readJournal(); err != nil {
		return err
	}
	info, err := os.Lstat(w.output)
	if err != nil || !info.Mode().IsRegular() || w.Output == "" {
		return exists
	}
	sum, err := checksum(w.output)
	if err != nil {
		return fmt.Errorf("reading --output: %w", err)
	}
	if sum != w.Output {
		return exists
	}
	w.complete = true
	return nil
}

// checksum returns the SHA-256 of a file.
func checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// readJournal reads the journal, which must have the same settings.
func (w *workDir) readJournal() error {
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
	return nil
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

// diskError returns the error of a failed write, with what to do about it.
func (w *workDir) diskError(action string, err error) error {
	return fmt.Errorf("%s: %w: free disk space in %s or fix the cause", action, err, filepath.Dir(w.output))
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
			return w.diskError("writing a segment", err)
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
			return w.diskError("saving a segment", err)
		}
	}
	w.Sizes = maps.Clone(w.sizes)
	if err := w.writeJournal(); err != nil {
		return w.diskError("saving the journal", err)
	}
	return nil
}

func (w *workDir) writeJournal() error {
	text, err := json.Marshal(w.journal)
	if err != nil {
		return err
	}
	path := filepath.Join(w.dir, journalName)
	if err := writeFile(path+".new", 0o600, func(f *os.File) error { _, err := f.Write(text); return err }); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(w.lock)
}

// writeFile creates a file and writes it to disk. If it fails, it leaves no file.
func writeFile(path string, mode os.FileMode, write func(*os.File) error) error {
	// A file that exists would keep its mode.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if failed := f.Close(); err == nil {
		err = failed
	}
	if err != nil {
		_ = os.Remove(path) // the first error matters
	}
	return err
}

// publish creates the output, and removes the working directory.
func (w *workDir) publish() error {
	if err := w.assemble(); err != nil {
		return w.diskError("assembling the output", err)
	}
	if err := checkAbsent(w.output); err != nil {
		return fmt.Errorf("--output %s was created during the run: move it away", w.output)
	}
	if err := w.rename(); err != nil {
		return w.diskError("renaming the output", err)
	}
	return w.remove()
}

// assemble writes the output in the working directory, and its checksum in the
// journal.
func (w *workDir) assemble() error {
	hash := sha256.New()
	err := writeFile(filepath.Join(w.dir, assembledName), 0o644, func(f *os.File) error {
		to := io.MultiWriter(f, hash)
		for _, name := range slices.Sorted(maps.Keys(w.sizes)) {
			if _, err := io.Copy(to, io.NewSectionReader(w.segments[name], 0, w.sizes[name])); err != nil {
				return err
			}
		}
		_, err := io.WriteString(to, "# EOF\n")
		return err
	})
	if err != nil {
		return err
	}
	w.Output = hex.EncodeToString(hash.Sum(nil))
	return w.writeJournal()
}

// rename gives the assembled output its name.
func (w *workDir) rename() error {
	if err := os.Rename(filepath.Join(w.dir, assembledName), w.output); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(w.output))
	if err != nil {
		return err
	}
	defer parent.Close()
	return syncDir(parent)
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

// remove removes the working directory, and the journal last: without it, --resume
// could not recognize the output.
func (w *workDir) remove() error {
	w.close()
	entries, err := os.ReadDir(w.dir)
	for _, entry := range entries {
		if entry.Name() != journalName {
			err = errors.Join(err, os.RemoveAll(filepath.Join(w.dir, entry.Name())))
		}
	}
	if err == nil {
		err = os.RemoveAll(w.dir)
	}
	if err != nil {
		return fmt.Errorf("removing the working directory: %w: fix the cause", err)
	}
	return nil
}
