/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/key_file.h"

#include <sys/stat.h>

#include "broker/limits.h"
#include "tests/broker/config/load.h"

TEST(a_file_is_read_whole) {
    const char *path = scratch_write("one\ntwo\n");
    struct key_file file = {0};
    EXPECT_EQ(key_file_read(path, "jwks", &file, NULL), OK);
    EXPECT_SPAN(file.text, "one\ntwo\n");
    key_file_finish(&file);
    EXPECT_EQ(file.text.length, 0);
    EXPECT_EQ(key_file_read_key(path, &file, NULL), OK);
    EXPECT_SPAN(file.text, "one\ntwo");
    key_file_finish(&file);
    scratch_remove(path);
}

TEST(bytes_may_stand_in_the_row_itself) {
    struct key_file file = {0};
    EXPECT_EQ(key_file_read_key("base64:AAEK", &file, NULL), OK);
    EXPECT_EQ(file.text.length, 3);
    EXPECT_EQ(file.text.bytes[2], '\n');
    key_file_finish(&file);
    EXPECT_EQ(key_file_read_key("base64:?", &file, NULL), ERR_CONFIG);
}

TEST(a_pipe_is_refused_and_not_waited_for) {
    const char *path = scratch_write("");
    scratch_remove(path);
    EXPECT_EQ(mkfifo(path, 0600), 0);
    struct key_file file = {0};
    struct error why = {0};
    EXPECT_EQ(key_file_read(path, "jwks", &file, &why), ERR_CONFIG);
    EXPECT_NOT_NULL(strstr(why.detail, "is no file"));
    scratch_remove(path);
}

TEST(a_secret_in_place_of_a_path_is_not_repeated) {
    struct key_file file = {0};
    struct error why = {0};
    EXPECT_EQ(key_file_read_key("hunter2", &file, &why), ERR_CONFIG);
    EXPECT_NOT_NULL(strstr(why.detail, "`key` cannot be opened"));
    EXPECT_NULL(strstr(why.detail, "hunter2"));
}

TEST(a_file_has_a_bound) {
    char *text = malloc(KEY_FILE_BYTES_MAX + 2);
    memset(text, 'x', KEY_FILE_BYTES_MAX + 1);
    text[KEY_FILE_BYTES_MAX + 1] = '\0';
    const char *path = scratch_write(text);
    struct key_file file = {0};
    struct error why = {0};
    EXPECT_EQ(key_file_read(path, "jwks", &file, &why), ERR_CONFIG);
    EXPECT_NOT_NULL(strstr(why.detail, "larger"));
    scratch_remove(path);
    text[KEY_FILE_BYTES_MAX] = '\0';
    path = scratch_write(text);
    EXPECT_EQ(key_file_read(path, "jwks", &file, NULL), OK);
    EXPECT_EQ(file.text.length, KEY_FILE_BYTES_MAX);
    key_file_finish(&file);
    scratch_remove(path);
    free(text);
}

UNIT_TESTS(UNIT(a_file_is_read_whole), UNIT(bytes_may_stand_in_the_row_itself),
           UNIT(a_pipe_is_refused_and_not_waited_for),
           UNIT(a_secret_in_place_of_a_path_is_not_repeated), UNIT(a_file_has_a_bound))
