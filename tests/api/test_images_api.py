"""Images over HTTP: what they are and how they look."""

import numpy as np
import pytest

from tests.api.pictures import instance, shown


@pytest.fixture
def case(world, as_user, owner):
    """Give a function that files images for the owner and returns a client and the images' addresses."""

    def filed(*images, **more):
        case_id = world.study("owner", list(images), **more)
        client = as_user(owner)
        found = client.get(f"/api/v1/cases/{case_id}").json()["studies"][0]["series"][0]["images"]
        return client, [f"/api/v1/cases/{case_id}/images/{image['id']}" for image in found]

    return filed


def test_an_image_tells_about_itself_with_the_uids_of_the_case(case, picture):
    client, [url] = case(picture)
    image = client.get(url).json()
    assert image["sop_instance_uid"].startswith("2.25.")
    assert image["verdict"] == "clear"
    assert image["size_bytes"] == len(picture)
    assert image["rendered"] == f"{url}/rendered"
    assert "blob_key" not in image
    assert client.get(image["rendered"]).status_code == client.get(image["thumbnail"]).status_code == 200


def test_an_image_is_rendered_with_its_own_pixels(case, picture):
    client, [url] = case(picture)
    answer = client.get(f"{url}/rendered")
    assert answer.headers["content-type"] == "image/png"
    pixels = shown(answer.content)
    assert pixels.shape == (8, 8)
    assert np.abs(pixels.ravel() - np.arange(64) * 255 / 63).max() <= 1


def test_window_frame_and_size_are_asked_for_in_the_address(case):
    stack = np.stack([np.full((64, 64), 10, "u2"), np.full((64, 64), 30, "u2")])
    client, [url] = case(instance(stack, frames=2), frames=2)
    params = {"frame": 1, "window_center": 20, "window_width": 40, "max_width": 16, "max_height": 16}
    pixels = shown(client.get(f"{url}/rendered", params=params).content)
    assert pixels.shape == (16, 16)
    assert abs(int(pixels[0, 0]) - 196) <= 1


def test_a_thumbnail_is_small(case):
    client, [url] = case(instance(np.arange(512 * 300, dtype="u2").reshape(300, 512) % 4096))
    assert shown(client.get(f"{url}/thumbnail").content).shape == (150, 256)


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"frame": 1}, 404),
        ({"frame": -1}, 422),
        ({"window_center": 40}, 422),
        ({"window_width": 40}, 422),
        ({"window_center": "nan", "window_width": 1}, 422),
        ({"window_center": 40, "window_width": 0}, 422),
        ({"window_center": 1e300, "window_width": 1e-300}, 200),
        ({"max_width": 0}, 422),
        ({"max_width": 100_000}, 422),
    ],
)
def test_what_makes_no_sense_is_refused(case, picture, params, status):
    client, [url] = case(picture)
    assert client.get(f"{url}/rendered", params=params).status_code == status


def test_a_picture_that_the_caller_holds_is_not_sent_again(case, picture):
    client, [url] = case(picture)
    answer = client.get(f"{url}/rendered")
    tag = answer.headers["etag"]
    again = client.get(f"{url}/rendered", headers={"If-None-Match": f'"x", {tag}'})
    assert again.status_code == 304
    assert again.content == b""
    other = client.get(f"{url}/rendered", params={"max_width": 4}, headers={"If-None-Match": tag})
    assert other.status_code == 200


def test_what_cannot_be_decoded_is_a_problem(case, picture):
    client, [url] = case(picture[:-60])
    answer = client.get(f"{url}/rendered")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:casebridge:problem:not-renderable"


def test_an_image_of_another_case_is_not_found_here(case, picture):
    client, [first] = case(picture)
    _, [second] = case(picture)
    case_id, image_id = first.split("/")[4], second.split("/")[6]
    assert client.get(f"/api/v1/cases/{case_id}/images/{image_id}").status_code == 404


def test_a_picture_whose_blob_is_gone_says_so(case, picture, world):
    client, [url] = case(picture)
    case_id = url.split("/")[4]
    world.blobs.delete(world.detail(case_id).studies[0].series[0].images[0].blob_key)
    assert client.get(f"{url}/rendered").status_code == 404
