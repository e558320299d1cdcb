/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/window.h"

#include <gtk/gtk.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "prompt/guard.h"

/* Neither a long argument nor a long name makes the window larger than this. */
#define WINDOW_CHARACTERS     52
#define WINDOW_ARGUMENT_LINES 6
/* Of an argument that is shown at all; its whole length is said. */
#define WINDOW_ARGUMENT_MAX 512
#define WINDOW_ICON_SIZE    18
#define WINDOW_UNKNOWN_ICON "edit-find"
/* "label " and the name of a colour; a longer one is cut. */
#define WINDOW_COLOUR_SIZE 64

enum {
        COLUMN_ICON,
        COLUMN_NAME,
        _COLUMN_N,
};

struct Window {
        Question *question;
        void (*on_answer)(Window *window, const Answer *answer, void *userdata);
        void *userdata;
        bool is_answered;
        Guard guard;
        guint timer; /* until the guard lets pass */
        GtkWidget *window, *entry, *allow, *deny, *allow_for, *quiet_for, *count, *bar;
        int x, y, width, height;
        GdkVisibilityState visibility;
        bool covered_by_us; /* the list of a field of ours lies over it */
};

/*
 * Pictures
 */

/* The colours of Qubes' labels. */
static bool window_label_colour(const char *icon, GdkRGBA *ret_colour) {
        static const struct {
                const char *label, *colour;
        } colours[] = {
                { "red", "#cc0000" },  { "orange", "#f57900" }, { "yellow", "#edd400" }, { "green", "#73d216" },
                { "gray", "#555753" }, { "blue", "#3465a4" },   { "purple", "#75507b" }, { "black", "#000000" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(colours); ++i)
                if (strcmp(colours[i].label, question_icon_label(icon)) == 0)
                        return gdk_rgba_parse(ret_colour, colours[i].colour);
        return false;
}

/* A square in the label's colour: what people go by, whatever icons a theme has. */
static GdkPixbuf *window_paint(const GdkRGBA *colour) {
        cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, WINDOW_ICON_SIZE, WINDOW_ICON_SIZE);
        cairo_t *cairo = cairo_create(surface);
        GdkPixbuf *pixbuf;

        cairo_rectangle(cairo, 1.5, 1.5, WINDOW_ICON_SIZE - 3, WINDOW_ICON_SIZE - 3);
        gdk_cairo_set_source_rgba(cairo, colour);
        cairo_fill_preserve(cairo);
        cairo_set_source_rgb(cairo, 0.2, 0.2, 0.2);
        cairo_set_line_width(cairo, 1);
        cairo_stroke(cairo);
        cairo_destroy(cairo);
        pixbuf = gdk_pixbuf_get_from_surface(surface, 0, 0, WINDOW_ICON_SIZE, WINDOW_ICON_SIZE);
        cairo_surface_destroy(surface);
        return pixbuf;
}

/* The theme's icon of that name; else the label's colour; else a magnifying glass. NULL: not even that. */
static GdkPixbuf *window_icon(const char *icon) {
        GtkIconTheme *theme = gtk_icon_theme_get_default();
        GdkRGBA colour;

        if (gtk_icon_theme_has_icon(theme, icon))
                return gtk_icon_theme_load_icon(theme, icon, WINDOW_ICON_SIZE, GTK_ICON_LOOKUP_FORCE_SIZE, NULL);
        if (window_label_colour(icon, &colour))
                return window_paint(&colour);
        return gtk_icon_theme_load_icon(theme, WINDOW_UNKNOWN_ICON, WINDOW_ICON_SIZE, GTK_ICON_LOOKUP_FORCE_SIZE, NULL);
}

/*
 * What the person has chosen
 */

static int window_choice(const Window *window) {
        return question_find(window->question, gtk_entry_get_text(GTK_ENTRY(window->entry)));
}

/* The n-th of a list whose first is "once". */
static uint32_t window_duration(GtkWidget *list, const QuestionDurations *durations) {
        int active = list ? gtk_combo_box_get_active(GTK_COMBO_BOX(list)) : 0;

        return active > 0 ? durations->sec[active - 1] : 0;
}

static void window_answer(Window *window, const Answer *answer) {
        if (window->is_answered)
                return;
        window->is_answered = true;
        gtk_widget_hide(window->window);
        window->on_answer(window, answer, window->userdata);
}

static bool window_is_believed(const Window *window) {
        return guard_left(&window->guard, clock_now()) == 0;
}

static void window_allow(Window *window) {
        int choice = window_choice(window);

        if (!window_is_believed(window) || choice < 0)
                return;
        window_answer(window, &(Answer){ .allow = true,
                                         .sec = window_duration(window->allow_for, &window->question->allow_for),
                                         .target = window->question->entries[choice].target,
                                         .n_target = strlen(window->question->entries[choice].target) });
}

static void window_deny(Window *window) {
        if (window_is_believed(window))
                window_answer(window,
                              &(Answer){ .sec = window_duration(window->quiet_for, &window->question->quiet_for) });
}

/*
 * The guard
 */

static void window_update(Window *window);

static gboolean window_on_timer(gpointer userdata) {
        Window *window = userdata;

        window->timer = 0;
        window_update(window);
        return G_SOURCE_REMOVE;
}

/* What can be pressed now; and if not yet, when. */
static void window_update(Window *window) {
        uint64_t left_usec = guard_left(&window->guard, clock_now());
        bool is_believed = left_usec == 0;

        gtk_widget_set_sensitive(window->allow, is_believed && window_choice(window) >= 0);
        gtk_widget_set_sensitive(window->deny, is_believed);
        if (window->timer != 0)
                g_source_remove(window->timer);
        window->timer = is_believed || left_usec == UINT64_MAX
                                ? 0
                                : g_timeout_add((guint)(left_usec / USEC_PER_MSEC) + 1, window_on_timer, window);
}

static gboolean window_on_focus(GtkWidget *widget, GdkEventFocus *event, gpointer userdata) {
        Window *window = userdata;

        guard_on_focus(&window->guard, event->in != 0, clock_now());
        window_update(window);
        return GDK_EVENT_PROPAGATE;
}

static void window_on_change(Window *window) {
        guard_on_change(&window->guard, clock_now());
        window_update(window);
}

static gboolean window_on_configure(GtkWidget *widget, GdkEventConfigure *event, gpointer userdata) {
        Window *window = userdata;

        if (event->x == window->x && event->y == window->y && event->width == window->width &&
            event->height == window->height)
                return GDK_EVENT_PROPAGATE;
        window->x = event->x;
        window->y = event->y;
        window->width = event->width;
        window->height = event->height;
        window_on_change(window);
        return GDK_EVENT_PROPAGATE;
}

/* Is a list open, of targets or times? It is a window of its own, of the kind that no other program can make for us. */
static bool window_has_popup(void) {
        g_autoptr(GList) all = gtk_window_list_toplevels();

        for (GList *item = all; item; item = item->next)
                if (gtk_window_get_window_type(item->data) == GTK_WINDOW_POPUP && gtk_widget_get_visible(item->data))
                        return true;
        return false;
}

/* Uncovered: raised, or what lay over it has gone; unless that was a list of ours over a part of it. */
static gboolean window_on_visibility(GtkWidget *widget, GdkEventVisibility *event, gpointer userdata) {
        Window *window = userdata;
        bool was_covered_by_us = window->covered_by_us;

        if (event->state == window->visibility)
                return GDK_EVENT_PROPAGATE;
        window->covered_by_us = event->state == GDK_VISIBILITY_PARTIAL && window_has_popup();
        if (!window->covered_by_us && !(was_covered_by_us && window->visibility == GDK_VISIBILITY_PARTIAL &&
                                        event->state == GDK_VISIBILITY_UNOBSCURED))
                window_on_change(window);
        window->visibility = event->state;
        return GDK_EVENT_PROPAGATE;
}

static gboolean window_on_state(GtkWidget *widget, GdkEventWindowState *event, gpointer userdata) {
        if (event->changed_mask & (GDK_WINDOW_STATE_ICONIFIED | GDK_WINDOW_STATE_WITHDRAWN))
                window_on_change(userdata);
        return GDK_EVENT_PROPAGATE;
}

/*
 * Before any widget sees it: keys that would press something. The field is asked too, since a list of completions hands
 * it keys that do not pass the window. Enter in the field means what stands there, which is also what is selected in that
 * list (its selection is inline): never another target.
 */
static gboolean window_on_key(GtkWidget *widget, GdkEventKey *event, gpointer userdata) {
        Window *window = userdata;

        switch (event->keyval) {
        case GDK_KEY_Escape:
                window_deny(window);
                return GDK_EVENT_STOP;
        case GDK_KEY_Return:
        case GDK_KEY_KP_Enter:
        case GDK_KEY_ISO_Enter:
                if (!window_is_believed(window))
                        return GDK_EVENT_STOP;
                if (!gtk_widget_has_focus(window->entry) || window_choice(window) < 0)
                        return GDK_EVENT_PROPAGATE;
                window_allow(window);
                return GDK_EVENT_STOP;
        default:
                return GDK_EVENT_PROPAGATE;
        }
}

/* Closed by the window manager: no. A person did that, however soon. */
static gboolean window_on_delete(GtkWidget *widget, GdkEvent *event, gpointer userdata) {
        window_answer(userdata, &(Answer){});
        return GDK_EVENT_STOP;
}

static void window_on_allow(GtkWidget *widget, gpointer userdata) {
        window_allow(userdata);
}

static void window_on_deny(GtkWidget *widget, gpointer userdata) {
        window_deny(userdata);
}

/* The colour of an icon, as a tooltip, which a screen reader reads, too; NULL: it has none. Return: @buffer */
static const char *window_colour(const char *icon, char buffer[static WINDOW_COLOUR_SIZE]) {
        const char *label = question_icon_label(icon);

        if (label[0] == '\0')
                return NULL;
        snprintf(buffer, WINDOW_COLOUR_SIZE, "label %s", ESCAPED(label, strlen(label)));
        return buffer;
}

static void window_on_changed(GtkEditable *editable, gpointer userdata) {
        Window *window = userdata;
        int choice = window_choice(window);
        const char *name = choice >= 0 ? window->question->entries[choice].icon : "";
        GdkPixbuf *icon = choice >= 0 ? window_icon(name) : NULL;
        char buffer[WINDOW_COLOUR_SIZE];
        const char *colour;

        if (icon) {
                gtk_entry_set_icon_from_pixbuf(GTK_ENTRY(window->entry), GTK_ENTRY_ICON_PRIMARY, icon);
                g_object_unref(icon);
        } else {
                gtk_entry_set_icon_from_icon_name(GTK_ENTRY(window->entry), GTK_ENTRY_ICON_PRIMARY,
                                                  WINDOW_UNKNOWN_ICON);
        }
        colour = window_colour(name, buffer);
        gtk_entry_set_icon_tooltip_text(GTK_ENTRY(window->entry), GTK_ENTRY_ICON_PRIMARY, colour);
        /* GTK tells screen readers of that tooltip once, and of no change. */
        atk_object_set_description(gtk_widget_get_accessible(window->entry), colour ?: "");
        window_update(window);
}

/*
 * Building it
 */

static GtkWidget *window_label(const char *text) {
        GtkWidget *label = gtk_label_new(text);

        gtk_label_set_xalign(GTK_LABEL(label), 0);
        gtk_label_set_max_width_chars(GTK_LABEL(label), WINDOW_CHARACTERS);
        gtk_label_set_ellipsize(GTK_LABEL(label), PANGO_ELLIPSIZE_MIDDLE);
        return label;
}

/* Label and widget of a row; the label's mnemonic leads to @labelled, in it, and a screen reader reads both. */
static void window_add_row(GtkGrid *grid, int row, const char *name, GtkWidget *widget, GtkWidget *labelled) {
        GtkWidget *label = gtk_label_new_with_mnemonic(name);

        gtk_label_set_xalign(GTK_LABEL(label), 1);
        gtk_widget_set_valign(label, GTK_ALIGN_BASELINE);
        gtk_widget_set_valign(widget, GTK_ALIGN_BASELINE);
        gtk_label_set_mnemonic_widget(GTK_LABEL(label), labelled);
        gtk_widget_set_hexpand(widget, TRUE);
        gtk_grid_attach(grid, label, 0, row, 1, 1);
        gtk_grid_attach(grid, widget, 1, row, 1, 1);
}

static GtkWidget *window_make_source(const Question *question, GtkWidget **ret_name) {
        GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 8), *name = window_label(question->source);
        GdkPixbuf *icon = window_icon(question->source_icon);
        char colour[WINDOW_COLOUR_SIZE];

        if (icon) {
                GtkWidget *image = gtk_image_new_from_pixbuf(icon);

                gtk_widget_set_tooltip_text(image, window_colour(question->source_icon, colour));
                gtk_box_pack_start(GTK_BOX(box), image, FALSE, FALSE, 0);
                g_object_unref(icon);
        }
        gtk_box_pack_start(GTK_BOX(box), name, TRUE, TRUE, 0);
        *ret_name = name;
        return box;
}

/* The service with its bold part, the argument behind it: a few lines at most, and its length if that is not all. */
static GtkWidget *window_make_operation(const Question *question) {
        char argument[ESCAPE_MAX(WINDOW_ARGUMENT_MAX)];
        const char *shown = question_argument(question);
        size_t n_bold = question_bold(question->service), n_shown = strlen(shown);
        g_autofree char *plain = g_strndup(question->service, n_bold);
        GtkWidget *label = gtk_label_new(NULL);
        g_autofree char *markup = NULL, *whole = NULL;

        escape(argument, sizeof(argument), shown, n_shown < WINDOW_ARGUMENT_MAX ? n_shown : WINDOW_ARGUMENT_MAX);
        markup = g_markup_printf_escaped("%s<b>%s</b>%s", plain, question->service + n_bold, argument);
        if (n_shown > WINDOW_ARGUMENT_MAX) {
                whole = g_strdup_printf("%s… <i>(an argument of %zu bytes)</i>", markup, n_shown);
                gtk_label_set_markup(GTK_LABEL(label), whole);
        } else {
                gtk_label_set_markup(GTK_LABEL(label), markup);
        }
        gtk_label_set_xalign(GTK_LABEL(label), 0);
        gtk_label_set_line_wrap(GTK_LABEL(label), TRUE);
        gtk_label_set_line_wrap_mode(GTK_LABEL(label), PANGO_WRAP_WORD_CHAR);
        gtk_label_set_max_width_chars(GTK_LABEL(label), WINDOW_CHARACTERS);
        gtk_label_set_width_chars(GTK_LABEL(label), WINDOW_CHARACTERS);
        gtk_label_set_lines(GTK_LABEL(label), WINDOW_ARGUMENT_LINES);
        gtk_label_set_ellipsize(GTK_LABEL(label), PANGO_ELLIPSIZE_MIDDLE);
        return label;
}

/* Lines of whoever asks, as plain text. */
static GtkWidget *window_make_text(const Question *question) {
        GtkWidget *label = window_label(NULL);
        GString *shown = g_string_new(NULL);

        for (const char *text = question->text; *text;) {
                size_t n = strcspn(text, "\n");

                g_string_append_printf(shown, "%s%s", shown->len > 0 ? "\n" : "", ESCAPED(text, n));
                text += n + (text[n] == '\n');
        }
        gtk_label_set_text(GTK_LABEL(label), shown->str);
        g_string_free(shown, TRUE);
        return label;
}

/* Anywhere in the name, upper and lower case the same. */
static gboolean window_match(GtkEntryCompletion *completion, const char *key, GtkTreeIter *iter, gpointer userdata) {
        g_autofree char *name = NULL, *folded = NULL;

        gtk_tree_model_get(gtk_entry_completion_get_model(completion), iter, COLUMN_NAME, &name, -1);
        if (!name)
                return FALSE;
        folded = g_utf8_casefold(name, -1);
        return strstr(folded, key) != NULL;
}

static GtkListStore *window_make_model(const Question *question) {
        GtkListStore *store = gtk_list_store_new(_COLUMN_N, GDK_TYPE_PIXBUF, G_TYPE_STRING);

        for (size_t i = 0; i < question->n_entries; ++i) {
                GdkPixbuf *icon = window_icon(question->entries[i].icon);

                gtk_list_store_insert_with_values(store, NULL, -1, COLUMN_ICON, icon, COLUMN_NAME,
                                                  question->entries[i].display, -1);
                if (icon)
                        g_object_unref(icon);
        }
        return store;
}

static void window_add_icons(GtkCellLayout *layout) {
        GtkCellRenderer *renderer = gtk_cell_renderer_pixbuf_new();

        gtk_cell_layout_pack_start(layout, renderer, FALSE);
        gtk_cell_layout_add_attribute(layout, renderer, "pixbuf", COLUMN_ICON);
        gtk_cell_layout_reorder(layout, renderer, 0);
}

static GtkWidget *window_make_target(Window *window) {
        GtkListStore *store = window_make_model(window->question);
        GtkWidget *list = gtk_combo_box_new_with_model_and_entry(GTK_TREE_MODEL(store));
        GtkEntryCompletion *completion = gtk_entry_completion_new();

        gtk_combo_box_set_entry_text_column(GTK_COMBO_BOX(list), COLUMN_NAME);
        window_add_icons(GTK_CELL_LAYOUT(list));
        window->entry = gtk_bin_get_child(GTK_BIN(list));
        gtk_entry_completion_set_model(completion, GTK_TREE_MODEL(store));
        gtk_entry_completion_set_text_column(completion, COLUMN_NAME);
        gtk_entry_completion_set_match_func(completion, window_match, NULL, NULL);
        gtk_entry_completion_set_popup_single_match(completion, TRUE);
        gtk_entry_completion_set_inline_selection(completion, TRUE);
        gtk_entry_completion_set_minimum_key_length(completion, 1);
        window_add_icons(GTK_CELL_LAYOUT(completion));
        gtk_entry_set_completion(GTK_ENTRY(window->entry), completion);
        gtk_entry_set_placeholder_text(GTK_ENTRY(window->entry), "Start typing, or open the list");
        g_object_unref(completion);
        g_object_unref(store);
        return list;
}

/* "once", and what was offered; NULL: nothing was. */
static GtkWidget *window_make_durations(const QuestionDurations *durations, const char *once) {
        GtkWidget *list;
        char text[32];

        if (durations->n == 0)
                return NULL;
        list = gtk_combo_box_text_new();
        gtk_combo_box_text_append_text(GTK_COMBO_BOX_TEXT(list), once);
        for (size_t i = 0; i < durations->n; ++i)
                gtk_combo_box_text_append_text(GTK_COMBO_BOX_TEXT(list), question_duration(durations->sec[i], text));
        gtk_combo_box_set_active(GTK_COMBO_BOX(list), 0);
        return list;
}

static GtkWidget *window_make_grid(Window *window) {
        const Question *question = window->question;
        GtkWidget *grid = gtk_grid_new(), *source, *operation, *text, *target, *name;
        int row = 0;

        gtk_grid_set_row_spacing(GTK_GRID(grid), 8);
        gtk_grid_set_column_spacing(GTK_GRID(grid), 12);
        source = window_make_source(question, &name);
        window_add_row(GTK_GRID(grid), row++, "Source:", source, name);
        operation = window_make_operation(question);
        window_add_row(GTK_GRID(grid), row++, "Operation:", operation, operation);
        if (question->text[0] != '\0') {
                text = window_make_text(question);
                window_add_row(GTK_GRID(grid), row++, "Purpose:", text, text);
        }
        target = window_make_target(window);
        window_add_row(GTK_GRID(grid), row++, "_Target:", target, window->entry);
        window->allow_for = window_make_durations(&question->allow_for, "this once");
        if (window->allow_for)
                window_add_row(GTK_GRID(grid), row++, "Allow _for:", window->allow_for, window->allow_for);
        window->quiet_for = window_make_durations(&question->quiet_for, "ask again next time");
        if (window->quiet_for)
                window_add_row(GTK_GRID(grid), row++, "If denied, be _quiet for:", window->quiet_for,
                               window->quiet_for);
        return grid;
}

static GtkWidget *window_make_head(Window *window) {
        GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 12), *texts = gtk_box_new(GTK_ORIENTATION_VERTICAL, 4);
        GtkWidget *text = gtk_label_new("Do you want to allow this operation?\nCheck it, and choose the target.");

        gtk_label_set_xalign(GTK_LABEL(text), 0);
        window->count = gtk_label_new(NULL);
        gtk_label_set_xalign(GTK_LABEL(window->count), 0);
        gtk_widget_set_no_show_all(window->count, TRUE);
        gtk_box_pack_start(GTK_BOX(texts), text, FALSE, FALSE, 0);
        gtk_box_pack_start(GTK_BOX(texts), window->count, FALSE, FALSE, 0);
        gtk_box_pack_start(GTK_BOX(box), gtk_image_new_from_icon_name("dialog-question", GTK_ICON_SIZE_DIALOG), FALSE,
                           FALSE, 0);
        gtk_box_pack_start(GTK_BOX(box), texts, TRUE, TRUE, 0);
        return box;
}

static void window_on_bar(GtkInfoBar *bar, int response, gpointer userdata) {
        gtk_widget_hide(GTK_WIDGET(bar));
}

/* Why nothing is preselected although something was named. */
static GtkWidget *window_make_bar(const Question *question) {
        GtkWidget *bar = gtk_info_bar_new(), *label = window_label(NULL);

        gtk_label_set_text(GTK_LABEL(label), ESCAPED(question->problem, strlen(question->problem)));
        gtk_info_bar_set_message_type(GTK_INFO_BAR(bar), GTK_MESSAGE_WARNING);
        gtk_info_bar_set_show_close_button(GTK_INFO_BAR(bar), TRUE);
        gtk_container_add(GTK_CONTAINER(gtk_info_bar_get_content_area(GTK_INFO_BAR(bar))), label);
        g_signal_connect(bar, "response", G_CALLBACK(window_on_bar), NULL);
        return bar;
}

static GtkWidget *window_make_buttons(Window *window) {
        GtkWidget *box = gtk_button_box_new(GTK_ORIENTATION_HORIZONTAL);

        gtk_button_box_set_layout(GTK_BUTTON_BOX(box), GTK_BUTTONBOX_END);
        gtk_box_set_spacing(GTK_BOX(box), 8);
        window->deny = gtk_button_new_with_mnemonic("_Deny");
        window->allow = gtk_button_new_with_mnemonic("_Allow");
        gtk_widget_set_can_default(window->allow, TRUE);
        gtk_container_add(GTK_CONTAINER(box), window->deny);
        gtk_container_add(GTK_CONTAINER(box), window->allow);
        g_signal_connect(window->deny, "clicked", G_CALLBACK(window_on_deny), window);
        g_signal_connect(window->allow, "clicked", G_CALLBACK(window_on_allow), window);
        return box;
}

static void window_build(Window *window) {
        GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 16);

        window->window = gtk_window_new(GTK_WINDOW_TOPLEVEL);
        gtk_window_set_title(GTK_WINDOW(window->window), "Operation execution");
        gtk_window_set_type_hint(GTK_WINDOW(window->window), GDK_WINDOW_TYPE_HINT_DIALOG);
        gtk_window_set_position(GTK_WINDOW(window->window), GTK_WIN_POS_CENTER);
        gtk_window_set_resizable(GTK_WINDOW(window->window), FALSE);
        gtk_window_set_keep_above(GTK_WINDOW(window->window), TRUE);
        gtk_window_set_urgency_hint(GTK_WINDOW(window->window), TRUE);
        gtk_window_set_icon_name(GTK_WINDOW(window->window), "dialog-question");
        gtk_container_set_border_width(GTK_CONTAINER(window->window), 16);
        gtk_container_add(GTK_CONTAINER(window->window), box);

        gtk_box_pack_start(GTK_BOX(box), window_make_head(window), FALSE, FALSE, 0);
        if (window->question->problem)
                gtk_box_pack_start(GTK_BOX(box), window_make_bar(window->question), FALSE, FALSE, 0);
        gtk_box_pack_start(GTK_BOX(box), window_make_grid(window), TRUE, TRUE, 0);
        gtk_box_pack_start(GTK_BOX(box), window_make_buttons(window), FALSE, FALSE, 0);
        gtk_window_set_default(GTK_WINDOW(window->window), window->allow);
        gtk_widget_grab_focus(window->entry);
}

static void window_connect(Window *window) {
        gtk_widget_add_events(window->window, GDK_VISIBILITY_NOTIFY_MASK);
        g_signal_connect(window->entry, "changed", G_CALLBACK(window_on_changed), window);
        g_signal_connect(window->entry, "key-press-event", G_CALLBACK(window_on_key), window);
        g_signal_connect(window->window, "focus-in-event", G_CALLBACK(window_on_focus), window);
        g_signal_connect(window->window, "focus-out-event", G_CALLBACK(window_on_focus), window);
        g_signal_connect(window->window, "configure-event", G_CALLBACK(window_on_configure), window);
        g_signal_connect(window->window, "visibility-notify-event", G_CALLBACK(window_on_visibility), window);
        g_signal_connect(window->window, "window-state-event", G_CALLBACK(window_on_state), window);
        g_signal_connect(window->window, "key-press-event", G_CALLBACK(window_on_key), window);
        g_signal_connect(window->window, "delete-event", G_CALLBACK(window_on_delete), window);
}

Window *window_new(Question *question, void (*on_answer)(Window *window, const Answer *answer, void *userdata),
                   void *userdata) {
        Window *window = g_new0(Window, 1);

        window->question = question;
        window->on_answer = on_answer;
        window->userdata = userdata;
        window_build(window);
        window_connect(window);
        if (question->default_entry >= 0)
                gtk_entry_set_text(GTK_ENTRY(window->entry), question->entries[question->default_entry].display);
        window_on_changed(GTK_EDITABLE(window->entry), window);
        gtk_widget_show_all(window->window);
        gtk_window_present(GTK_WINDOW(window->window));
        return window;
}

Window *window_free(Window *window) {
        if (!window)
                return NULL;
        window->is_answered = true; /* what its end brings about is no answer */
        if (window->timer != 0)
                g_source_remove(window->timer);
        g_signal_handlers_disconnect_by_data(window->window, window);
        g_signal_handlers_disconnect_by_data(window->entry, window);
        gtk_widget_destroy(window->window);
        question_free(window->question);
        g_free(window);
        return NULL;
}

void window_set_count(Window *window, uint32_t count) {
        g_autofree char *text = NULL;

        if (count <= 1) {
                gtk_widget_hide(window->count);
                return;
        }
        text = g_strdup_printf("<b>%u requests ask this.</b> The answer holds for all of them.", count);
        gtk_label_set_markup(GTK_LABEL(window->count), text);
        gtk_widget_show(window->count);
}
