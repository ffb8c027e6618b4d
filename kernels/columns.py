"""The columns of the counting kernels, in the order both the kernel and its reference write them (int64)."""

STATISTICS = (
    "characters",  # code points
    "letters",  # alphabetic, ideographs included
    "digits",
    "uppercase",
    "punctuation",
    "han",
    "kana",
    "hangul",
    "latin",
    "simplified",  # Han characters of simplified text only
    "traditional",
    "brackets",  # {
    "replacements",  # U+FFFD
    "newlines",  # runs of them: an empty line between paragraphs is no second one
    "lines",  # with something other than white space
    "bullet_lines",
    "ellipsis_lines",
    "terminal_lines",  # end as a sentence does; a bracket behind a sentence, or around its end, belongs to it
    "short_lines",
    "longest_line",  # characters without the white space around it
    "sentences",
    "words",
    "word_characters",
    "spaced_characters",  # in words that are no ideographs
    "alphabetic_words",
    "ideograph_words",
    "longest_word",
    "stop_words",  # different ones of the list
    "hashes",  # #
    "ellipses",  # … or three or more full stops
    "cantonese",  # Han characters of written Cantonese
    "literary",  # of Classical Chinese
    "vernacular",  # of modern Chinese
)

REPETITION = (
    "characters",
    "lines",
    "duplicate_lines",
    "duplicate_line_characters",
    "paragraphs",
    "duplicate_paragraphs",
    "duplicate_paragraph_characters",
    "top_2",  # characters in occurrences of the most frequent n-gram of words
    "top_3",
    "top_4",
    "duplicate_5",  # characters of n-grams of words seen before
    "duplicate_6",
    "duplicate_7",
    "duplicate_8",
    "duplicate_9",
    "duplicate_10",
)

STOP_WORD_SLOTS = 512  # open addressing over packed words; a list fills at most an eighth of it
STOP_WORD_BYTES = 8
